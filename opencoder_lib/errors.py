"""Errors that name the thing, the value, the limit and the way out.

Everything a user can cause derives from CookbookError; the command line prints such an error without a
traceback. A traceback therefore always means a defect of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class CookbookError(Exception):
    """A mistake that the reader of the message can mend. `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(CookbookError):
    """A setting that cannot work: an unknown name, a wrong type, numbers that do not fit together."""

    exit_code = 2


class SchemaError(CookbookError):
    """A frame that is not a file frame, or a stage that broke the stage contract."""


class MissingArtifact(CookbookError):
    """A chapter asked for the result of a chapter that has not run."""


class CorruptArtifact(CookbookError):
    """A stored result whose bytes are not those that were written."""


class InputError(CookbookError):
    """Input that cannot be read: a missing folder, a file that is not what its name says."""

    exit_code = 2


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean X?' when a known name is near, else the list of known names."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    return f" Known: {', '.join(known)}."
