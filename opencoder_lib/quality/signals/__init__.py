"""One module per kind of signal. Importing this package registers them all."""

from opencoder_lib.quality.signals import (
    c,
    characters,
    code,
    csharp,
    go,
    html,
    java,
    javascript,
    lines,
    python,
    text,
    words,
)

__all__ = ["c", "characters", "code", "csharp", "go", "html", "java", "javascript", "lines", "python", "text", "words"]
