"""Backups: dumped, compressed and uploaded in one stream, proven, listed, thinned out and restored."""
