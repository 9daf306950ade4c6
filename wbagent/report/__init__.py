"""The report: one page about this host to look at instead of reading logs, and what is drawn on it."""
