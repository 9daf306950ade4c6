"""The wandb/local container: its specification, its runner, its probes, its history."""
