"""Tests against real services on this machine: MySQL, S3, an HTTP receiver."""
