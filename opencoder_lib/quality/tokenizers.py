"""The words of a line: Chinese and Japanese write no spaces, so a dictionary says where their words end.

Which tokenizer a file gets depends on its natural language only, code or text (filter specification, lang). The two
dictionaries are loaded when the first text needs them, always from their packages: jieba's own cache in the folder for
temporary files, which any user of the machine may write, is neither read nor written.

Both tokenizers take quadratic time on hostile lines, so what is longer than LONGEST characters is cut first: for jieba
only a run of Han signs, ASCII letters and digits that nothing interrupts, for MeCab a line, if possible after a full
stop or white space. No sentence is as long; everything shorter has the tokens of the release.
"""

import re
import warnings
from collections.abc import Callable
from functools import cache, lru_cache
from types import ModuleType

from opencoder_lib.errors import ConfigError, did_you_mean

JIEBA, MECAB, WORD_PUNCT = "jieba", "mecab", "word_punct"
BY_LANGUAGE = {"zh": JIEBA, "ja": MECAB}
LONGEST = 1000
_WORD = re.compile(r"\w+|[^\w\s]+")
# jieba looks words up inside a run of these signs; any other visible character is a token of its own.
_RUN = rf"[\u4E00-\u9FD5a-zA-Z0-9+#&._%\-]{{1,{LONGEST}}}"
_BLOCK = re.compile(rf"{_RUN}|[^\s]")
_PIECE = re.compile(rf"(?s:.){{1,{LONGEST}}}(?:\Z|(?<=[\s。]))|(?s:.){{1,{LONGEST}}}")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Code in a Chinese project repeats its identifiers; a longer run hardly ever comes back.
_REMEMBERED, _SHORT = 65_536, 24


def tokenizer_of(natural_language: str) -> str:
    """The tokenizer for files in this language: jieba for zh, mecab for ja, word_punct for all others."""
    return BY_LANGUAGE.get(natural_language, WORD_PUNCT)


def tokens(lines: list[str], tokenizer: str) -> list[list[str]]:
    """The words of each line, in order; white space is in none of them, and no other character is lost.

    jieba: accurate mode with its hidden Markov model for unknown words. mecab: unidic-lite; a null character or a
    lone surrogate, which would end the line or raise there, counts as a space or as U+FFFD. word_punct: runs of
    letters, digits and underscores, and runs of other signs. Linear in the length of the lines. Raises ConfigError for
    any other name.
    """
    known = {JIEBA: _jieba, MECAB: _mecab, WORD_PUNCT: lambda: _WORD.findall}
    if tokenizer not in known:
        raise ConfigError(f"There is no tokenizer {tokenizer!r}.{did_you_mean(tokenizer, known)}")
    words = known[tokenizer]()
    return [words(line) for line in lines]


def to_simplified(text: str) -> str:
    """Chinese text in the signs and the wording of the mainland, as the release reads it; its length may change.

    Needs zhconv, which is under the GPL and therefore in the extra `zh`; without it the text is returned as it is.
    """
    converter = _converter()
    return converter.convert(text, "zh-cn") if converter else text


def has_conversion() -> bool:
    """Whether zhconv is installed, so that `to_simplified` does something."""
    return _converter() is not None


def _converter() -> ModuleType | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            import zhconv
    except ImportError:
        return None
    return zhconv


@cache
def _jieba() -> Callable[[str], list[str]]:
    with warnings.catch_warnings(action="ignore"):
        import jieba
    dictionary = jieba.Tokenizer()
    # Filled by hand: `initialize` would read and write a cache file, and say so.
    dictionary.FREQ, dictionary.total = dictionary.gen_pfdict(dictionary.get_dict_file())
    dictionary.initialized = True
    remembered = lru_cache(_REMEMBERED)(dictionary.lcut)

    def words(line: str) -> list[str]:
        found: list[str] = []
        for block in _BLOCK.findall(line):
            if len(block) == 1:
                found.append(block)
            else:
                found += (remembered if len(block) <= _SHORT else dictionary.lcut)(block)
        return found

    return words


@cache
def _mecab() -> Callable[[str], list[str]]:
    import MeCab
    import unidic_lite

    # By name: MeCab would prefer another UniDic where one is installed.
    folder = unidic_lite.DICDIR
    tagger = MeCab.Tagger(f'-Owakati -r "{folder}/mecabrc" -d "{folder}"')

    def words(line: str) -> list[str]:
        line = _SURROGATE.sub("\ufffd", line.replace("\0", " "))
        pieces = [line] if len(line) <= LONGEST else _PIECE.findall(line)
        return [word for piece in pieces for word in tagger.parse(piece).split()]

    return words
