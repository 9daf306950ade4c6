"""wbagent: the duties of a self-hosted Weights & Biases server, done by systemd and one small agent."""

__version__ = "0.1.0"
