"""One catalogue of several bands."""


def combine_bands() -> None:
    """Later."""
