"""Texts to compare: words that occur nowhere else, texts that break tools, files that are alike, and datasketch's view.

from compared_texts import named, words
files = named(a=" ".join(words(1, 90)), b=" ".join([*words(1, 89), "other"]))
"""

from datetime import datetime

import datasketch
import polars as pl

from opencoder_lib.files import new_files
from opencoder_lib.refine import minhash_numpy
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.seeds import rng
from opencoder_lib.shingles import tokens

OLD, NEW = datetime(2015, 1, 1), datetime(2023, 11, 1)

HOSTILE = {
    "empty": "",
    "one token": "word",
    "four tokens": "a b c d",
    "five tokens": "a b c d e",
    "six tokens": "a b c d e f",
    "no word": "+-*/ () \n\t",
    "white space only": " \n\t\r\n",
    "other scripts only": "中文 текст ελληνικά \U0001f40d",
    "mixed scripts": "größe = naïve(x, y, z, w) # 注释",
    "one line of 1 MB": "ab " * 350_000,
    "one token of 1 MB": "x" * 1_000_000,
    "one token of 1 MB above ASCII": "é" * 500_000,
    "two tokens of 1 MB": "x" * 1_000_000 + " " + "Y" * 1_000_001,
    "lone CR only": "one = 1\rtwo = 2\rthree = 3\r",
    "NUL and control characters": "a\x00b\x1bc d e f g",
    "NUL only": "\x00",
    "digits above ASCII": "x ١٢٣ y ² z ｗ v u t",
    "white space above ASCII": "a\xa0b\u2003c\x85d\u2028e f g",
    "all repeated": "a a a a a a a a a a",
}


def words(seed: int, count: int) -> list[str]:
    """The first `count` of an endless list of words that no other seed has."""
    return [f"w{value:x}" for value in rng(seed, "test words").integers(2**62, size=count)]


def files_of(*rows: dict) -> pl.DataFrame:
    """A file frame of these rows; path and origin are filled in."""
    return new_files([{"path": f"{at}.py", "origin": "folder"} | row for at, row in enumerate(rows)])


def named(**texts: str) -> pl.DataFrame:
    """A file frame of texts under their ids."""
    return files_of(*({"doc_id": name, "text": text} for name, text in texts.items()))


def near_corpus(seed: int = 0, groups: int = 14, longest: int = 200) -> pl.DataFrame:
    """Groups of one to four versions of a text: in another layout, with up to seven words changed, with other stars."""
    draws, rows = rng(seed, "near corpus"), []
    for group in range(groups):
        text = words(100 + group, int(draws.integers(1, longest)))
        for _ in range(int(draws.integers(1, 5))):
            version = list(text)
            for at in draws.integers(len(text), size=int(draws.integers(0, 1 + min(7, len(text) // 25)))):
                version[at] += "x"
            stars = None if draws.random() < 0.3 else int(draws.integers(3))
            joined = (" ", "\n", "; ")[draws.integers(3)].join(version)
            rows.append({"text": joined, "stars": stars, "committed_at": [None, OLD, NEW][draws.integers(3)]})
    return files_of(*rows)


def by_datasketch(text: str, minhash: MinHash) -> datasketch.MinHash:
    """datasketch as its documentation shows it, a shingle at a time: our tokens, none of our signatures.

    For the shingle hash `fast` it gets ours as its `hashfunc`, fed tuples of tokens.
    """
    found = tokens(text, minhash.unit, minhash.fold_case)
    windows = [found[at : at + minhash.ngram] for at in range(max(1, len(found) - minhash.ngram + 1))] if found else []
    if minhash.shingle_hash == "sha1":
        signed = datasketch.MinHash(num_perm=minhash.num_hashes, seed=minhash.seed)
        pieces = {" ".join(window).encode() for window in windows}
    else:
        hashfunc = minhash_numpy.shingle_hash
        signed = datasketch.MinHash(num_perm=minhash.num_hashes, seed=minhash.seed, hashfunc=hashfunc)
        pieces = {tuple(word.encode() for word in window) for window in windows}
    for piece in pieces:
        signed.update(piece)
    return signed
