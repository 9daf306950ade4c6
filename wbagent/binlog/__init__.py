"""Binary logs: read from the server without a pause, stored piece by piece, and applied again up to a moment."""
