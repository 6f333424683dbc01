"""How fast the quality filter computes all official signals, beside the rate at which Pygments lexes the same files.

    python benchmarks/quality.py [FOLDER...] [--megabytes 6] [--profile]

One process, one thread, processor time. Files are taken from the folders in a seeded order, up to `--megabytes` of each
language; ours and Pygments take turns, shard by shard, so that both see the same machine. Lexing with Pygments is what
the official pipeline spends about a fifth of its time on, hence the ratio. `--profile` tells where our time goes, by
view and signal, and the floors: copying the characters once, and the parsers whose answer is the definition.
"""

import os

# One thread: set before Polars and numba are imported.
for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import random
import sysconfig
import time
from collections import Counter
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import polars as pl
import pygments
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from opencoder_lib import MB
from opencoder_lib.corpora.reading import NotAFile, file_row, read_file
from opencoder_lib.files import new_files
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import compute_signals
from opencoder_lib.quality.compute import SHARD_BYTES, with_scope
from opencoder_lib.quality.registry import official_signals, signals_of
from opencoder_lib.quality.views import Views

GROUPS = ("python", "c", "cpp", "csharp", "java", "javascript", "go", "html", "shell", "sql", "data", "text")


def collect(folders: list[Path], limit: float) -> pl.DataFrame:
    """Files of the groups, at most `limit` bytes of each, in an order that depends on the seed only."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix)
    random.Random(0).shuffle(paths)
    taken, rows = Counter(), []
    named = [{"path": path.name, "repo": str(path.parent), "origin": "folder", "text": ""} for path in paths]
    table = with_languages(new_files(named))
    for path, language, category in zip(paths, table["language"], table["category"], strict=True):
        group = language if language in GROUPS and category != "text" else category
        if group not in GROUPS or taken[group] >= limit:
            continue
        try:
            read = read_file(path)
        except NotAFile:
            continue
        if read.text:
            rows.append(
                file_row(read, origin="folder", path=path.name, repo=str(path.parent), natural_language="en")
                | {"group": group}
            )
            taken[group] += len(read.text.encode())
    return with_languages(new_files(rows))


def lex(files: pl.DataFrame) -> None:
    """What the peer does: turn every file into tokens."""
    for text, language in files.select("text", "language").iter_rows():
        try:
            lexer = get_lexer_by_name(language)
        except ClassNotFound:
            continue
        for _ in lexer.get_tokens(text):
            pass


def shards(files: pl.DataFrame) -> list[pl.DataFrame]:
    """Consecutive pieces, so that both take turns."""
    piece = (files["n_bytes"].cum_sum() // (4 * SHARD_BYTES)).alias("piece")
    return files.with_columns(piece).partition_by("piece", include_key=False, maintain_order=True)


def processor_seconds(function, *arguments) -> float:
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def measure(files: pl.DataFrame) -> None:
    """Print MB/s and the ratio for every group and for all code and data together."""
    official = official_signals()
    compute_signals(files.group_by("group").head(2), names=official)
    print(f"Pygments {pygments.__version__}, Polars {pl.__version__}, one thread, processor time\n")
    print(f"{'files':>22s} {'MB':>7s} {'ours MB/s':>10s} {'Pygments':>9s} {'ratio':>6s}")
    total = Counter()
    for group in GROUPS:
        here = files.filter(pl.col("group") == group)
        ours = theirs = 0.0
        for piece in shards(here):
            ours += processor_seconds(partial(compute_signals, names=official), piece)
            theirs += processor_seconds(lex, piece) if group != "text" else 0
        megabytes = here["n_bytes"].sum() / MB
        if megabytes:
            show(f"{group} {here.height:,}", megabytes, ours, theirs)
        if group != "text":
            total.update(megabytes=megabytes, ours=ours, theirs=theirs)
    show("all but text", total["megabytes"], total["ours"], total["theirs"])


def show(name: str, megabytes: float, ours: float, theirs: float) -> None:
    peer = f"{megabytes / theirs:9.2f} {theirs / ours:6.1f}" if theirs else f"{'':9s} {'':6s}"
    print(f"{name:>22s} {megabytes:7.1f} {megabytes / ours:10.1f} {peer}", flush=True)


def profile(files: pl.DataFrame) -> None:
    """Print where our time goes, and what it could not fall below."""
    spent: Counter = Counter()
    views_of = [name for name, value in vars(Views).items() if isinstance(value, cached_property)]
    order = [name for name in ("text", "chars", "words", "code", "code_lines", *views_of) if name in views_of]
    scoped = with_scope(files).filter(pl.col("scope").is_not_null())
    for (scope,), group in scoped.group_by("scope"):
        official = {name: entry for name, entry in signals_of(scope).items() if entry.official}
        needed = {"text", "code_lines"} | {view for entry in official.values() for view in entry.views}
        for piece in shards(group):
            views = Views(piece)
            for name in order:
                if name in needed and (scope != "text" or "code" not in name):
                    spent[f"view {name}"] += processor_seconds(getattr, views, name)
            for name, entry in official.items():
                spent[f"signal {name}"] += processor_seconds(entry.values, views)
    megabytes, seconds = files["n_bytes"].sum() / MB, sum(spent.values())
    print(
        f"\nWhere {seconds:.2f} s for {megabytes:.1f} MB go (the first signal that needs a view's inside pays for it)"
    )
    for name, value in spent.most_common(25):
        print(f"{name:>40s} {value:7.3f} s {value / seconds:6.1%} {megabytes / value:9.0f} MB/s")
    floors(files)


def floors(files: pl.DataFrame) -> None:
    """Print the floors: one copy of the characters through memory, and the parsers alone."""
    codes = np.zeros(int(files["n_bytes"].sum()), np.uint32)
    copied = min(processor_seconds(codes.copy) for _ in range(3))
    print(f"\nfloor, one copy of 4 bytes a character: {len(codes) / MB / copied:,.0f} MB/s of text")
    for language, name in (("python", "python"), ("javascript", "javascript"), ("html", "html_text_lengths")):
        here = with_scope(files.filter(pl.col("group") == language))
        if here.height:
            seconds = processor_seconds(getattr, Views(here), name)
            print(f"floor, structure of {language}: {here['n_bytes'].sum() / MB / seconds:.1f} MB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    installed = [Path(sysconfig.get_paths()["purelib"])]
    parser.add_argument("folders", nargs="*", type=Path, default=installed, help="by default the installed packages")
    parser.add_argument("--megabytes", type=float, default=6.0, help="MB of each language")
    parser.add_argument("--profile", action="store_true", help="also tell where the time goes")
    arguments = parser.parse_args()
    files = collect(arguments.folders, arguments.megabytes * MB)
    measure(files)
    if arguments.profile:
        profile(files)


if __name__ == "__main__":
    main()
