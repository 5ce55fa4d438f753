"""Errors that a person can act on; everything else that is raised is a bug."""

import errno

_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


class DiscoverError(Exception):
    """Something expected went wrong; the message is one sentence that says what to do."""


def of_the_disk(error: BaseException) -> str:
    """What the disk refuses, in one sentence; empty for any other error."""
    if not isinstance(error, OSError) or error.errno not in _OF_THE_DISK:
        return ""
    return f"{error.filename or 'a file'} can't be written: {error.strerror}"


class UsageError(DiscoverError):
    """The command line or a file given on it is wrong (exit code 2)."""


class SourceError(DiscoverError):
    """A repository, package root or file that a verdict rests on could not be read.

    What rests on the source stays undecided; it is never turned into "not there".
    """


class ConfigError(DiscoverError):
    """A model's configuration can't be had or read; the model is deferred or skipped."""

    def __init__(self, message: str, *, reason: str) -> None:
        """`reason` is a short stable word, for example ``gated`` or ``malformed``."""
        super().__init__(message)
        self.reason = reason


class ManifestError(DiscoverError):
    """A manifest file does not follow the contract."""
