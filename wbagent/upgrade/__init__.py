"""Upgrades of the server: what is decided, what is done, and the account of it."""
