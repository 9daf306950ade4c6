"""What holds for all unit tests: generated examples have no time limit of their own on a machine that is busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")
