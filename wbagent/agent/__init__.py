"""The long-running agent: what is scheduled, what is watched, who is told."""
