"""Signals over the words of the normalised text: how many, how long, how varied, how repetitive."""

import numpy as np

from opencoder_lib.quality.codepoints import ratio
from opencoder_lib.quality.registry import add, signal
from opencoder_lib.quality.views import Views

NO_WORDS = "no words"


@signal("num_words", "text", "code", views=("words",))
def num_words(views: Views) -> np.ndarray:
    """Words of the normalised text."""
    return views.words.per_document()


@signal("mean_word_length", "text", "code", views=("words",), null_when=NO_WORDS)
def mean_word_length(views: Views) -> np.ndarray:
    """Characters in words / words."""
    return ratio(views.words.per_document(views.words.lengths), views.words.per_document())


@signal("frac_words_unique", "text", "code", views=("words",), null_when=NO_WORDS)
def frac_words_unique(views: Views) -> np.ndarray:
    """Distinct words / words."""
    words = views.words
    distinct = np.bincount(words.documents[words.ids.first], minlength=words.num_documents)
    return ratio(distinct, words.per_document())


@signal("entropy_unigram", "text", views=("words",), null_when=NO_WORDS)
def entropy_unigram(views: Views) -> np.ndarray:
    """Entropy of the word frequencies in nats: -sum p ln p."""
    words = views.words
    documents = words.documents[words.ids.first]
    share = words.ids.count / words.per_document()[documents]
    entropy = np.bincount(documents, -share * np.log(share), words.num_documents)
    return np.where(words.per_document() > 0, entropy, np.nan)


def _top(n: int):
    def measure(views: Views) -> np.ndarray:
        return ratio(views.words.ngrams.top[n], views.words.per_document(views.words.lengths), empty=0.0)

    return measure


def _dupe(n: int):
    def measure(views: Views) -> np.ndarray:
        return ratio(views.words.ngrams.dupe[n], views.words.per_document(views.words.lengths), empty=0.0)

    return measure


for n in (2, 3, 4):
    add(
        f"frac_chars_top_{n}grams",
        "text",
        "code",
        views=("words",),
        measure=_top(n),
        definition=f"""Characters of the most frequent run of {n} words, times how often it occurs, / characters in
        words. Overlaps count again; the run that comes first wins a tie; 0 if none occurs twice.""",
    )
for n in (5, 6, 7, 8, 9, 10):
    add(
        f"frac_chars_dupe_{n}grams",
        "text",
        "code",
        views=("words",),
        measure=_dupe(n),
        definition=f"""Characters of the words that lie in some run of {n} words which occurs at least twice, all copies
        included, / characters in words; 0 if there are fewer words.""",
    )
