"""What two files are compared by: the set of their 5-grams. One definition for planting, hashing and measuring.

The paper says "5-gram" and no more (section 2.1.1); the token below is our assumption, declared in paper.toml.
"""

import re

TOKEN = re.compile(r"[A-Za-z0-9_]+")


def tokens(text: str) -> list[str]:
    """The maximal runs of ASCII letters, digits and underscore, in order, case kept."""
    return TOKEN.findall(text)


def shingles(text: str, ngram: int = 5) -> set[str]:
    """The distinct runs of `ngram` tokens, each joined by one space.

    A text with fewer tokens is one shingle of what it has; one without any token has no shingle. Layout and
    punctuation do not count, and neither do letters outside ASCII.
    """
    words = tokens(text)
    if len(words) < ngram:
        return {" ".join(words)} if words else set()
    return set(map(" ".join, zip(*(words[start:] for start in range(ngram)), strict=False)))


def jaccard(one: set, other: set) -> float:
    """Size of the intersection over size of the union; 0 when both sets are empty: nothing says they are alike."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0
