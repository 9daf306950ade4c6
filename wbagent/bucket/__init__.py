"""Where backups are stored: an S3 bucket, or a directory of this host, behind one small interface."""
