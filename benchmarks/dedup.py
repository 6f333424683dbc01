"""How fast fuzzy deduplication is, beside datasketch, rensa and Daft's own MinHash on the same files.

    python benchmarks/dedup.py [FOLDER...] [--megabytes 300] [--repeats 5] [--only 1 5]

The paper's setting: 5-grams, 2,048 functions, 16 bands of 128. Files are taken from the folders in the order of a hash
of their path. Unless a row says otherwise: one process, one thread, processor time, the sides take turns, medians. What
is compiled at first use is compiled before the clock starts. A peer that is not installed leaves its row empty.
"""

import os

# One thread: set before anything that reads it is imported. Commands are started with the environment as it was.
AS_FOUND = dict(os.environ)
for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
# Daft would draw bars, and tell its makers that it was imported.
os.environ |= {"DAFT_PROGRESS_BAR": "0", "DAFT_ANALYTICS_ENABLED": "0"}

import argparse
import hashlib
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import datasketch
import numpy as np
import polars as pl

from opencoder_lib import MB
from opencoder_lib.corpora.reading import NotAFile, read_file
from opencoder_lib.files import new_files
from opencoder_lib.languages import category_of, language_of
from opencoder_lib.machine import num_processors
from opencoder_lib.refine import fuzzy
from opencoder_lib.refine.minhash import MinHash, as_sketches, band_keys_of, signature_matrix, signatures, sketch
from opencoder_lib.shingles import shingles, tokens

FAST, SHA1 = MinHash(), MinHash(shingle_hash="sha1")
# Files of measures 1 to 4 and 8, enough for steady medians: datasketch needs a second for them. And files of measure 5.
NUM_SAMPLED, NUM_INDEXED = 300, 20_000
# datasketch makes a matrix of (shingles x functions): of this many it stays in the processor's cache.
PIECE = 256
CLEAN = ("-m", "opencoder_lib", "clean", "--stages", "preprocess,exact,fuzzy")
OPTIONAL = {"3": "rensa", "4": "daft", "9": "psutil"}


@dataclass(frozen=True)
class Row:
    """One line of the table. ratio and aim: so many of `unit`, at least, or at most if `at_most`."""

    measure: str
    num_files: int = 0
    megabytes: float = 0.0
    ours: str = ""
    peer: str = ""
    ratio: float | None = None
    spread: str = ""
    aim: float | None = None
    unit: str = "x"
    at_most: bool = False

    def __str__(self) -> str:
        cells = f"{self.measure:<47s} {self.num_files:>6,} {self.megabytes:>5.1f} {self.ours:>10s}  {self.peer:<31s}"
        if self.ratio is None:
            return cells.rstrip()
        cells += f"{f'{self.ratio:,.1f} {self.unit}':>8s} {self.spread:>10s}"
        if self.aim is None:
            return cells
        met = self.ratio <= self.aim if self.at_most else self.ratio >= self.aim
        return f"{cells}  {'<=' if self.at_most else '>='} {self.aim:g} {self.unit}{'' if met else ', missed'}"


HEADER = f"{'measure':<47s} {'files':>6s} {'MB':>5s} {'ours':>10s}  {'peer':<31s}{'ratio':>8s} {'turns':>10s}  aim"


def collect(folders: list[Path], limit: float) -> pl.DataFrame:
    """`path`, `repo` and `text` of source files of 32 bytes to 1 MB in a fixed order, `limit` bytes together."""
    found = []
    for folder in folders:
        for where, _, names in os.walk(folder):
            known = [name for name in names if category_of(language_of(name)) not in ("excluded", "unknown")]
            found += [(os.path.relpath(os.path.join(where, name), folder), folder) for name in known]
    found.sort(key=lambda entry: hashlib.sha256(entry[0].encode("utf-8", "surrogateescape")).digest())
    rows, total = [], 0
    for path, folder in found:
        with suppress(NotAFile):
            read = read_file(folder / path, max_bytes=MB)
            if read.text and read.n_bytes >= 32:
                total += read.n_bytes
                rows.append({"path": path, "repo": Path(path).parts[0], "text": read.text})
        if total >= limit:
            break
    return pl.DataFrame(rows, schema={"path": pl.String, "repo": pl.String, "text": pl.String})


def grown(files: pl.DataFrame, limit: float) -> pl.DataFrame:
    """At least `limit` bytes of files: where there are fewer they come again, with another last word each time."""
    parts = [files]
    while sum(megabytes(part["text"]) for part in parts) * MB < limit:
        word = f"again_{len(parts)}"
        parts.append(files.with_columns(path=pl.format(word + "/{}", "path"), text=pl.format("{} " + word, "text")))
    return pl.concat(parts)


def megabytes(texts: pl.Series) -> float:
    return texts.str.len_bytes().sum() / MB


def take_turns(repeats: int, *sides: Callable, clock: Callable = time.process_time) -> np.ndarray:
    """(sides, repeats) seconds. All sides run once, then again in another order, so that all see the same machine."""
    seconds = np.empty((len(sides), repeats))
    for turn in range(repeats):
        for side in np.roll(np.arange(len(sides)), turn):
            start = clock()
            made = sides[side]()
            seconds[side, turn] = clock() - start
            # Taking it apart is not part of the work.
            del made
    return seconds


def compare(measure: str, texts: pl.Series, seconds: np.ndarray, peer: str, aim: float | None = None) -> Row:
    """The row of two sides that took `seconds` (2, repeats) for these texts, ours first."""
    size, (ours, theirs), turns = megabytes(texts), np.median(seconds, axis=1), seconds[1] / seconds[0]
    sides = f"{size / ours:.1f} MB/s", f"{size / theirs:.2f} MB/s {peer}"
    return Row(measure, len(texts), size, *sides, theirs / ours, f"{turns.min():.1f}-{turns.max():.1f}", aim)


def datasketch_bulk(texts: list[str]) -> list[datasketch.MinHash]:
    """Its documented way for many texts: a copy of one empty sketch for each, then `update_batch`."""
    pieces = ([piece.encode() for piece in shingles(text)] for text in texts)
    return datasketch.MinHash.bulk(pieces, num_perm=FAST.num_hashes, seed=FAST.seed, scheme="affine32")


def datasketch_in_pieces(texts: list[str]) -> list[datasketch.MinHash]:
    """The same signatures by many small `update_batch`es: its matrices then stay small."""
    blank, made = datasketch.MinHash(FAST.num_hashes, seed=FAST.seed, scheme="affine32"), []
    for text in texts:
        pieces = [piece.encode() for piece in shingles(text)]
        made.append(blank.copy())
        for start in range(0, len(pieces), PIECE):
            made[-1].update_batch(pieces[start : start + PIECE])
    return made


def against_datasketch(number: str, minhash: MinHash, texts: pl.Series, repeats: int, aim: float) -> Iterator[Row]:
    """Text to band keys against text to signatures, whose hash of a shingle is SHA-1 unless told otherwise."""
    known = texts.to_list()
    if minhash.shingle_hash == "sha1":
        mine = sketch(texts, minhash, with_signatures=True, num_threads=1).signatures
        if not np.array_equal(mine, [made.hashvalues for made in datasketch_bulk(known)]):
            raise SystemExit("Our signatures with SHA-1 are not those of datasketch.")
    ours = partial(sketch, texts, minhash, num_threads=1)
    seconds = take_turns(repeats, ours, partial(datasketch_bulk, known), partial(datasketch_in_pieces, known))
    about = "SHA-1, same bits" if minhash.shingle_hash == "sha1" else "our hash"
    yield compare(f"{number} text to 16 keys, {about}", texts, seconds[[0, 1]], "datasketch bulk", aim)
    yield compare(f"{number}b the same, for information", texts, seconds[[0, 2]], f"its batches of {PIECE}")


def against_rensa(texts: pl.Series, repeats: int) -> Iterator[Row]:
    """Text to band keys against R-MinHash signatures of Python's shingles, by its fastest call for strings."""
    from rensa import RMinHash

    def theirs():
        return RMinHash.digest_matrix_from_token_sets(map(shingles, known), FAST.num_hashes, FAST.seed)

    known = texts.to_list()
    seconds = take_turns(repeats, partial(sketch, texts, FAST, num_threads=1), theirs)
    yield compare("3 text to 16 keys, our hash", texts, seconds, "rensa R-MinHash", 5)


def against_daft(texts: pl.Series, repeats: int) -> Iterator[Row]:
    """Text to band keys against Daft's expression, on text whose tokens are ours once it is cut at spaces."""
    import daft
    from daft import functions

    daft.set_runner_native(num_threads=1)
    frame = daft.from_arrow(pl.DataFrame({"text": texts}).to_arrow()).collect()
    words = functions.strip(functions.regexp_replace(daft.col("text"), "[^A-Za-z0-9_]+", " "))
    hashes = functions.minhash(words, num_hashes=FAST.num_hashes, ngram_size=FAST.ngram, hash_function="xxhash")
    if frame.select(words.alias("words")).to_pydict()["words"] != [" ".join(tokens(text)) for text in texts]:
        raise SystemExit("Daft would not see the same tokens.")

    def theirs():
        return frame.select(hashes.alias("signature")).collect()

    seconds = take_turns(repeats, partial(sketch, texts, FAST, num_threads=1), theirs)
    yield compare("4 text to 16 keys, our hash", texts, seconds, "Daft minhash, xxhash", 10)


def our_clusters(signed: pl.DataFrame) -> dict[str, str]:
    """The smallest id of its component for each file that resembles another one."""
    matrix = signature_matrix(signed, FAST)
    keys = pl.Series(band_keys_of(matrix, FAST), dtype=pl.Array(pl.UInt64, FAST.bands))
    known = signed.select("doc_id", "shingle_set", band_keys=keys)
    same = fuzzy.same_sets(known)
    shared = fuzzy.shared_bands(fuzzy.band_rows(known, same))
    return dict(fuzzy.candidates(shared, same).iter_rows())


def datasketch_clusters(sketches: dict[str, datasketch.MinHash]) -> dict[str, str]:
    """The same by its index: insert all, query all, and union-find with the smallest id on top."""
    index = datasketch.MinHashLSH(num_perm=FAST.num_hashes, params=(FAST.bands, FAST.rows))
    for doc_id, made in sketches.items():
        index.insert(doc_id, made, check_duplication=False)
    above = {}

    def top(doc_id: str) -> str:
        while above.setdefault(doc_id, doc_id) != doc_id:
            above[doc_id] = doc_id = above[above[doc_id]]
        return doc_id

    for doc_id, made in sketches.items():
        found = index.query(made)
        for name in found if len(found) > 1 else ():
            one, other = sorted((top(doc_id), top(name)))
            above[other] = one
    return {doc_id: top(doc_id) for doc_id in above}


def against_index(files: pl.DataFrame, repeats: int) -> Iterator[Row]:
    """Stored signatures of distinct texts to components of candidates; wrapping datasketch's sketches is not timed."""
    files = files.unique("text", keep="first", maintain_order=True).head(NUM_INDEXED)
    # A file without shingles is compared with nothing.
    signed = signatures(new_files(files.with_columns(origin=pl.lit("folder"))), FAST)
    signed = signed.filter(pl.col("num_shingles") > 0).rechunk()
    sketches = dict(as_sketches(signed, FAST))
    ours = our_clusters(signed)
    if ours != datasketch_clusters(sketches):
        raise SystemExit("Our components are not those of datasketch's index.")
    seconds = take_turns(repeats, partial(our_clusters, signed), partial(datasketch_clusters, sketches))
    about = f"5 signatures to {len(set(ours.values())):,} clusters, same partition"
    row = compare(about, files["text"], seconds, "", 15)
    mine, theirs = np.median(seconds, axis=1)
    yield replace(row, ours=f"{1000 * mine:.0f} ms", peer=f"{1000 * theirs:,.0f} ms datasketch MinHashLSH")


def two_threads(texts: pl.Series, repeats: int) -> Iterator[Row]:
    """Wall time of one thread against two; only a machine with nothing else to do shows what they can."""
    one, two = (partial(sketch, texts, FAST, num_threads=threads) for threads in (1, 2))
    seconds = take_turns(repeats, two, one, clock=time.perf_counter)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    yield compare(f"6 two threads, wall time{load}", texts, seconds, "one thread", 1.8)


def extra_memory(parquet: str, num_threads: int) -> int:
    """Bytes that making the keys of these texts takes at most beyond the texts. Run in a process of its own."""

    def now(name: str) -> int:
        return 1024 * int(re.search(rf"{name}:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])

    texts = pl.read_parquet(parquet)["text"]
    sketch(texts.head(3), FAST, num_threads=num_threads)
    # From here on the highest mark is that of the keys alone, not that of reading the file.
    Path("/proc/self/clear_refs").write_text("5")
    before = now("VmRSS")
    sketch(texts, FAST, num_threads=num_threads)
    return now("VmHWM") - before


def memory(files: pl.DataFrame, limit: float) -> Iterator[Row]:
    """The highest memory while the keys are made less that before, with a thread per processor."""
    if not Path("/proc/self/clear_refs").exists():
        yield Row("7 extra memory: this system has no /proc")
        return
    files = grown(files, limit)
    with tempfile.TemporaryDirectory() as folder:
        parquet = os.path.join(folder, "texts.parquet")
        files.select("text").write_parquet(parquet)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            extra = pool.submit(extra_memory, parquet, num_processors()).result() / MB
    about = f"7 extra memory for the keys, {num_processors()} threads"
    yield Row(about, files.height, megabytes(files["text"]), ratio=extra, aim=100, unit="MB", at_most=True)


def without_numba(texts: pl.Series, repeats: int) -> Iterator[Row]:
    """What is left without compiled loops; the same bits."""
    one, other = (partial(sketch, texts, FAST, num_threads=1, compiled=compiled) for compiled in (True, False))
    both = zip(astuple(one(with_signatures=True)), astuple(other(with_signatures=True)), strict=True)
    if not all(np.array_equal(compiled, alone) for compiled, alone in both):
        raise SystemExit("numpy and the compiled loops disagree.")
    yield compare("8 compiled, same bits as without numba", texts, take_turns(repeats, one, other), "numpy alone")


def clean_command(files: pl.DataFrame, limit: float) -> Iterator[Row]:
    """Wall time of `opencoder clean` from Parquet to Parquet with all processors, start-up included."""
    files = grown(files, limit)
    with tempfile.TemporaryDirectory() as folder:
        few, every = os.path.join(folder, "few.parquet"), os.path.join(folder, "every.parquet")
        files.head(20).write_parquet(few)
        files.write_parquet(every, row_group_size=2000)
        # The first run compiles, and says early what does not work.
        seconds, peak, failed = run_clean(few, os.path.join(folder, "first"))
        if not failed:
            seconds, peak, failed = run_clean(every, os.path.join(folder, "cleaned"))
    row = Row("9 opencoder clean to fuzzy, wall time", files.height, megabytes(files["text"]))
    if not failed:
        rate, most = f"{row.megabytes / seconds:.1f} MB/s", f"(no peer; at most {peak / MB:,.0f} MB)"
        row = replace(row, ours=rate, peer=most, ratio=seconds, aim=12, unit="s", at_most=True)
    yield replace(row, peer=f"failed: {failed[:90]}") if failed else row


def run_clean(parquet: str, out: str) -> tuple[float, int, str]:
    """(wall seconds, highest memory of the command and its children in bytes, its last words if it failed)."""
    import psutil

    command = [sys.executable, *CLEAN, "--out", out, parquet]
    with tempfile.TemporaryFile("w+") as words:
        start, peak = time.perf_counter(), 0
        running = subprocess.Popen(command, env=AS_FOUND, stdout=words, stderr=subprocess.STDOUT)
        seen = psutil.Process(running.pid)
        while running.poll() is None:
            # A process may end between being listed and being asked.
            with suppress(psutil.Error):
                peak = max(peak, sum(process.memory_info().rss for process in (seen, *seen.children(recursive=True))))
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        words.seek(0)
        last = words.read().strip().rpartition("\n")[2]
    return seconds, peak, (last or f"exit code {running.returncode}") if running.returncode else ""


def machine() -> str:
    """The processor and the versions of what is compared."""
    model, about = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    for line in about.read_text().splitlines() if about.exists() else ():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    versions = [f"Python {platform.python_version()}"]
    for package in ("datasketch", "rensa", "daft", "numba", "numpy", "polars"):
        with suppress(PackageNotFoundError):
            versions.append(f"{package} {version(package)}")
    return f"{model}, {num_processors()} processors; {', '.join(versions)}"


def measures(files: pl.DataFrame, limit: float, repeats: int, chosen: list[str]) -> Iterator[Row]:
    """The rows of the chosen measures, each as soon as it is there."""
    sample, few = files["text"].head(NUM_SAMPLED), min(3, repeats)
    rows_of = {
        "1": partial(against_datasketch, "1", FAST, sample, repeats, 40),
        "2": partial(against_datasketch, "2", SHA1, sample, repeats, 15),
        "3": partial(against_rensa, sample, repeats),
        "4": partial(against_daft, sample, repeats),
        "5": partial(against_index, files, few),
        "6": partial(two_threads, files["text"], few),
        "7": partial(memory, files, limit),
        "8": partial(without_numba, sample, few),
        "9": partial(clean_command, files, limit),
    }
    for number in chosen:
        package = OPTIONAL.get(number)
        if package and find_spec(package) is None:
            yield Row(f"{number} {package} is not installed (pip install {package})")
        else:
            yield from rows_of[number]()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    installed = [Path(sysconfig.get_paths()["purelib"])]
    parser.add_argument("folders", nargs="*", type=Path, default=installed, help="by default the installed packages")
    parser.add_argument("--megabytes", type=float, default=300.0, help="MB of files for measures 5, 6, 7 and 9")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    parser.add_argument("--only", nargs="+", choices=[*"123456789"], default=[*"123456789"], help="which measures")
    arguments = parser.parse_args()
    limit = arguments.megabytes * MB
    files = collect(arguments.folders, limit)
    if files.is_empty():
        raise SystemExit(f"No source files of 32 bytes to 1 MB below {', '.join(map(str, arguments.folders))}.")
    # What is compiled at first use is compiled here.
    sketch(files["text"].head(3), FAST)
    print(f"{machine()}\n{files.height:,} files, {megabytes(files['text']):.1f} MB\n\n{HEADER}", flush=True)
    for row in measures(files, limit, arguments.repeats, arguments.only):
        print(row, flush=True)


if __name__ == "__main__":
    main()
