"""Signals over the words of the normalised text: how many, how long, how varied, how repetitive."""

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.ngrams import DISTINCT, DUPE, ENTROPY, NUM_CHARS, TOP, column
from opencoder_lib.quality.registry import add, signal
from opencoder_lib.quality.views import Views

NO_WORDS = "no words"


@signal("num_words", "text", "code", views=("words",))
def num_words(views: Views) -> np.ndarray:
    """Words of the normalised text."""
    return views.words.count


@signal("mean_word_length", "text", "code", views=("words",), null_when=NO_WORDS)
def mean_word_length(views: Views) -> np.ndarray:
    """Characters in words / words."""
    return ratio(views.words.statistics[:, NUM_CHARS], views.words.count)


@signal("frac_words_unique", "text", "code", views=("words",), null_when=NO_WORDS)
def frac_words_unique(views: Views) -> np.ndarray:
    """Distinct words / words."""
    return ratio(views.words.statistics[:, DISTINCT], views.words.count)


@signal("entropy_unigram", "text", views=("words",), null_when=NO_WORDS)
def entropy_unigram(views: Views) -> np.ndarray:
    """Entropy of the word frequencies in nats: -sum p ln p."""
    return np.where(views.words.count > 0, views.words.statistics[:, ENTROPY], np.nan)


def _share_of_chars(n: int):
    def measure(views: Views) -> np.ndarray:
        found = views.words.statistics
        return ratio(found[:, column(n)], found[:, NUM_CHARS], empty=0.0)

    return measure


for n in TOP:
    add(
        f"frac_chars_top_{n}grams",
        "text",
        "code",
        views=("words",),
        measure=_share_of_chars(n),
        definition=f"""Characters of the most frequent run of {n} words, times how often it occurs, / characters in
        words. Overlaps count again; the run that comes first wins a tie; 0 if none occurs twice.""",
    )
for n in DUPE:
    add(
        f"frac_chars_dupe_{n}grams",
        "text",
        "code",
        views=("words",),
        measure=_share_of_chars(n),
        definition=f"""Characters of the words that lie in some run of {n} words which occurs at least twice, all copies
        included, / characters in words; 0 if there are fewer words.""",
    )
