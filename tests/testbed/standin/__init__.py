"""The stand-in for the wandb/local image: no W&B code, only the outward behaviour that supervision depends on.

It boots as phusion's my_init does, migrates the MySQL database that it is given, answers probes on port 8080, and
fails in the ways that W&B's users have reported. It runs as its container's pid 1 on a bare Python, so that it is up
in a tenth of a second; PyMySQL is imported only when the probes are answered already.
"""
