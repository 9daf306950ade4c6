"""From a bare host to a running server: what is asked, tested as it is answered, and written."""
