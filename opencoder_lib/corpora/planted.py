"""Files with known defects, and files that only look like them: what precision and recall are measured on.

Each file says in `truth` which stage must remove it ("fuzzy.near_duplicate"), or that none may ("clean"). Where the
paper's setting leaves it to chance, `truth` is null and the file counts for neither. All text is our own.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl
from numpy.random import Generator

from opencoder_lib import seeds
from opencoder_lib.corpora.defects import FILTER_DEFECTS, NEAR_EXTENSION
from opencoder_lib.corpora.generated import LANGUAGES, Words, markdown_page, python_module
from opencoder_lib.corpora.reading import MAX_BYTES, decode, file_row
from opencoder_lib.files import doc_id, new_files
from opencoder_lib.shingles import PATTERNS, jaccard, shingles

LICENSE = "Apache-2.0"
FIRST_DAY = datetime(2020, 1, 1)

# A pair is a near-duplicate above this Jaccard (the paper's bands find 92 % of pairs there) and clean below the lower
# one (0.002 %). Between them the outcome is a coin, so those copies have no truth; `planted_jaccard` still tells.
NEAR, FAR = 0.985, 0.90
TARGETS = {
    1.0: 8,
    0.998: 8,
    0.995: 8,
    0.992: 8,
    0.988: 8,
    0.98: 6,
    0.97: 6,
    0.96: 6,
    0.94: 6,
    0.88: 6,
    0.8: 6,
    0.7: 6,
    0.5: 6,
}
GROUPS = 24
PER_DEFECT, PER_NEAR_MISS = 5, 3


def plant_defects(seed: int = 0) -> pl.DataFrame:
    """Some five hundred planted files as a file frame; the same seed gives the same files.

    Extra columns: `planted_source` (doc_id of the file a copy was made from) and `planted_jaccard` (true Jaccard of
    their sets of word 5-grams). Repositories are named planted/<kind>; kinds are those of `truth`.
    """
    rows = [*_preprocess(seed), *_exact(seed), *_fuzzy(seed), *_filter(seed)]
    extra = {"planted_source": pl.String, "planted_jaccard": pl.Float64}
    frame = new_files([{name: None for name in extra} | row for row in rows])
    return frame.with_columns(pl.col(name).cast(dtype) for name, dtype in extra.items())


def _row(kind: str, path: str, data: str | bytes, truth: str | None, **known) -> dict:
    """A planted file: its bytes go through the same reading as any other file's."""
    read = decode(data.encode() if isinstance(data, str) else data)
    given = {"license": LICENSE, "stars": 10, "committed_at": FIRST_DAY} | known
    return file_row(read, origin="planted", repo=f"planted/{kind}", path=path, truth=truth, **given)


def _preprocess(seed: int) -> Iterator[dict]:
    rng = seeds.rng(seed, "planted", "preprocess")
    for at in range(PER_DEFECT):
        words = Words(rng)
        excluded = ["csv", "svg", "vtt", "ipynb", "kicad_sch"][at]
        # The look-up is case-sensitive: PY is no extension of the table.
        unknown = ["PY", "blueprint", "save", "pyfoo", "orig"][at]
        bad = {
            f"binary/{words.snake()}.py": python_module(rng).encode() + b"\x00\x01\x02" + rng.bytes(300),
            f"undecodable/{words.snake()}.py": _accented(rng).encode("latin-1"),
            f"too_large/{words.snake()}.py": b"values = [\n" + b"    0,\n" * (MAX_BYTES // 7 + 1) + b"]\n",
            f"excluded_type/{words.snake()}.{excluded}": python_module(rng).encode(),
            f"unknown_type/{words.snake()}.{unknown}": python_module(rng).encode(),
        }
        for path, data in bad.items():
            yield _row("preprocess", path, data, f"preprocess.{path.partition('/')[0]}")
        near = {
            f"near/{words.snake()}.py": _accented(rng).encode(),
            f"near/{words.snake()}.md": b"\xef\xbb\xbf" + markdown_page(rng).encode(),
            f"near/{words.snake()}/SConstruct": python_module(rng).encode(),
            f"near/{words.snake()}.c": LANGUAGES["c"](rng, 4).replace("\n\n", "\n\f\n").encode(),
        }
        for path, data in near.items():
            yield _row("preprocess", path, data, "clean")


def _accented(rng: Generator) -> str:
    return python_module(rng).replace(".", ". Größe prüfen, dann übernehmen.", 1)


def _exact(seed: int) -> Iterator[dict]:
    """Groups of equal files. Which one must survive is decided by stars, then commit time, then doc_id."""
    rng = seeds.rng(seed, "planted", "exact")
    for group in range(GROUPS):
        extension = list(LANGUAGES)[group % 3]
        text, name = LANGUAGES[extension](rng, 4), f"{Words(rng).snake()}.{extension}"
        older, newer = FIRST_DAY + timedelta(days=group), FIRST_DAY + timedelta(days=900 + group)
        # (stars, committed_at), the survivor first: most stars; newest of equal stars; any stars against none; known
        # date against none; and, where nothing else differs, the smallest id.
        copies = [
            [(500, older), (20, newer), (3, newer)],
            [(40, newer), (40, older)],
            [(0, older), (None, newer)],
            [(7, older), (7, None), (None, None)],
            [(12, older), (12, older), (12, older)],
        ][group % 5]
        paths = [f"{place}/{name}" for place in ("upstream", "vendored", "third_party")[: len(copies)]]
        if len(set(copies)) == 1:
            paths.sort(key=lambda path: doc_id("planted", "planted/exact.duplicate", path))
        source = doc_id("planted", "planted/exact.duplicate", paths[0])
        for at, (path, (stars, committed_at)) in enumerate(zip(paths, copies, strict=True)):
            known = {"stars": stars, "committed_at": committed_at, "planted_source": source if at else None}
            yield _row("exact.duplicate", path, text, "exact.duplicate" if at else "clean", **known)


def _fuzzy(seed: int) -> Iterator[dict]:
    rng = seeds.rng(seed, "planted", "fuzzy")
    for target, copies in TARGETS.items():
        for at in range(copies):
            extension = list(LANGUAGES)[at % 3]
            original = LANGUAGES[extension](rng, 16)
            copy = _edited(original, target, extension, rng)
            similar, name = jaccard(shingles(original), shingles(copy)), f"{Words(rng).snake()}.{extension}"
            truth = "fuzzy.near_duplicate" if similar > NEAR else "clean" if similar <= FAR else None
            date = FIRST_DAY + timedelta(days=int(rng.integers(1500)))
            yield _row("fuzzy.near_duplicate", f"original/{name}", original, "clean", stars=800, committed_at=date)
            known = {"stars": 5, "committed_at": date + timedelta(days=200), "planted_jaccard": similar}
            known["planted_source"] = doc_id("planted", "planted/fuzzy.near_duplicate", f"original/{name}")
            yield _row("fuzzy.near_duplicate", f"copy-{target}/{name}", copy, truth, **known)


def _edited(text: str, target: float, extension: str, rng: Generator) -> str:
    """`text` changed so that its Jaccard with the original is near `target`.

    1 is a copy with other white space, above 0.97 one with a remark added, below one with names changed here and there.
    """
    if target == 1:
        return text.replace("    ", "\t") if "    " in text else text.replace("  ", "\t")
    if target > 0.97:
        num_shingles = len(shingles(text))
        remark = " ".join(f"{Words(rng).snake()}_{at}" for at in range(round(num_shingles * (1 / target - 1))))
        start, end = {"py": ("# ", ""), "js": ("// ", ""), "c": ("/* ", " */")}[extension]
        lines = [start + part + end for part in re.findall(r"(?:\S+ ?){1,4}", remark)]
        return text + "\n".join(lines) + "\n"
    # Names are composed words, so replacing one can never hit a keyword.
    is_name = re.compile(r"[a-z]+(?:_[a-z]+){2,}|[a-z]+(?:[A-Z][a-z]+){2,}")
    places = [match for match in PATTERNS["word"].finditer(text) if is_name.fullmatch(match.group())]
    order = [places[int(at)] for at in rng.permutation(len(places))]
    original = shingles(text)
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        near = jaccard(original, shingles(_renamed(text, order[:middle]))) >= target
        low, high = (middle, high) if near else (low, middle - 1)
    return _renamed(text, order[:low])


def _renamed(text: str, places: list[re.Match]) -> str:
    parts, end = [], 0
    for match in sorted(places, key=lambda match: match.start()):
        # The place in the text makes each new name unlike every other.
        parts += [text[end : match.start()], f"{match.group()}_{match.start()}"]
        end = match.end()
    return "".join([*parts, text[end:]])


def _filter(seed: int) -> Iterator[dict]:
    for defect, (extension, bad, near) in FILTER_DEFECTS.items():
        rng = seeds.rng(seed, "planted", "filter", defect)
        for at in range(PER_DEFECT):
            yield _row(f"filter.{defect}", f"bad-{at}/{Words(rng).snake()}.{extension}", bad(rng), f"filter.{defect}")
        for at in range(PER_NEAR_MISS):
            name = f"near-{at}/{Words(rng).snake()}.{NEAR_EXTENSION.get(defect, extension)}"
            yield _row(f"filter.{defect}", name, near(rng), "clean")
