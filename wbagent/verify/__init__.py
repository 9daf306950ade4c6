"""The server as a client sees it, after installation: our own tries, then W&B's `wandb verify`."""
