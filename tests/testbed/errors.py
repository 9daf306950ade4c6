"""The error of the test bed itself, as opposed to a failure of the product under test."""


class BedError(Exception):
    """The test bed could not do what it was asked to."""
