"""The only place that speaks to PID 1: notifications, the journal, the bus."""
