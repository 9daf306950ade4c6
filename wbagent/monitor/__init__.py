"""What is watched: samplers that read numbers off the host, and rules that say when a number is an alert."""
