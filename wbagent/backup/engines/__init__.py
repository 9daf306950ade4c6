"""The ways to take a backup of a MySQL server, behind one interface."""
