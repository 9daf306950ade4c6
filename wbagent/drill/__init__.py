"""The proof of a backup: restored into a throw-away MySQL, compared, and recorded beside it."""
