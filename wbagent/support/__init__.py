"""One archive for W&B's support, without a secret in it."""
