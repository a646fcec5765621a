"""Every error a user can meet: one line that names the value at fault and what was expected.

InputError: an image, header or catalogue that cannot be used. ConfigError: an option or configuration file.
ModelError: a model file that is absent, broken or unfit for the data. OutputError: a result that cannot be
written where it was asked for.
"""


class SkadetectError(Exception):
    """Base of all errors that skadetect raises on purpose."""


class InputError(SkadetectError):
    """An image, header or catalogue that cannot be used as given."""


class ConfigError(SkadetectError):
    """An option or configuration value that is unknown, of the wrong type or out of range."""


class ModelError(SkadetectError):
    """A model that is absent, damaged or made for other data."""


class OutputError(SkadetectError):
    """A result that cannot be written where it was asked for."""
