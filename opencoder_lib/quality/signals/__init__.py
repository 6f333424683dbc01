"""One module per kind of signal. Importing this package registers them all."""

from opencoder_lib.quality.signals import characters, code, lines, python, text, words

__all__ = ["characters", "code", "lines", "python", "text", "words"]
