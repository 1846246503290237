"""The errors a user can meet, each also a standard Python error."""


class AceError(Exception):
    """Parent of every error that acepot raises on purpose."""


class InputError(AceError, ValueError):
    """Something the caller gave is wrong: the message says what, and what was expected."""


class ModelFileError(AceError, ValueError):
    """A model file is damaged, foreign or too new."""


class MissingDependency(AceError, ImportError):  # noqa: N818 - reads as the thing that happened
    """An optional package is needed; the message holds the command that installs it."""


class ConvergenceError(AceError, RuntimeError):
    """An iterative or numerical method did not reach a usable answer."""
