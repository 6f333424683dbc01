"""Small corpora, runs of `opencoder clean` over them, and what the notebook's wrappers make of the same files."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib.clean.command import Order, clean
from opencoder_lib.corpora.inputs import open_inputs
from opencoder_lib.corpora.jsonlines import zstd
from opencoder_lib.files import content_hash
from opencoder_lib.languages import with_languages
from opencoder_lib.quality import apply_rules, compute_signals, load_rules
from opencoder_lib.refine.copyright import strip_copyright_notices
from opencoder_lib.refine.exact import drop_exact_duplicates
from opencoder_lib.refine.fuzzy import drop_near_duplicates
from opencoder_lib.refine.minhash import MinHash
from opencoder_lib.refine.pii import redact_personal_data
from opencoder_lib.refine.preprocess import keep_source_files
from opencoder_lib.refine.sampling import downsample
from opencoder_lib.seeds import rng

# All stages but the filter, whose processes take a second to start.
NO_FILTER = "preprocess,exact,fuzzy"
# Loose enough for short texts with one changed line; the paper's own setting hardly lets one go.
LOOSE = MinHash(num_hashes=64, bands=16, rows=4)
# A run whose units and row groups are small, and that is slow enough to be caught anywhere.
SLOW = """
import time
from opencoder_lib.clean import command, parts, steps
command.unit_bytes, steps.GROUP_BYTES = lambda total: 2_500, 800
mark = parts.Workplace.mark
def slow(*about):
    time.sleep(0.03)
    return mark(*about)
parts.Workplace.mark = slow
"""


def module(name: str, num_lines: int = 20) -> str:
    """Python whose words are this module's own."""
    return "".join(f"{name}_{at} = compute_{at}({name}, {at * 7})\n" for at in range(num_lines))


def edited(text: str, at: int = 3) -> str:
    """The text with another word in one line: similar, not equal."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:at], f"changed_{at} = 1\n", *lines[at + 1 :]])


def laid_out(text: str) -> str:
    """The same words in the same order, other white space."""
    return text.replace("\n", "\n\n    ")


def tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def table(path: Path, rows: Sequence[Mapping[str, Any]], row_group_size: int | None = None) -> Path:
    """A Parquet file with these rows."""
    pl.DataFrame(list(rows), infer_schema_length=None).write_parquet(path, row_group_size=row_group_size)
    return path


def lines(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> Path:
    """JSON Lines with these rows, packed as the name says; a string is a line as it is."""
    data = "".join((row if isinstance(row, str) else json.dumps(row, default=str)) + "\n" for row in rows).encode()
    pack = {".gz": gzip.compress, ".zst": zstd.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(data))
    return path


def any_rows(key: str, num_rows: int) -> list[dict[str, Any]]:
    """Rows of few texts, places, stars and dates, so that copies, near-copies and repeated places are frequent."""
    draws, found = rng(0, key), []
    kinds = [str, str, laid_out, edited, lambda text: edited(text, 9), lambda text: "" if len(text) % 3 else None]
    for _ in range(num_rows):
        text = kinds[draws.integers(len(kinds))](module(f"word{draws.integers(8)}"))
        found.append(
            {
                "path": f"p/{'abc'[draws.integers(3)]}{draws.integers(9)}.{['py', 'md', 'zzz'][draws.integers(3) % 3]}",
                "repo": [None, "one", "two", "two"][draws.integers(4)],
                "text": text,
                "stars": [None, 0, 5, 5, 70][draws.integers(5)],
                "committed_at": [None, datetime(2020, 1, 1), datetime(2024, 5, 5)][draws.integers(3)],
            }
        )
    return found


def any_inputs(root: Path, key: str = "inputs") -> list[Path]:
    """A folder, two Parquet files, and JSON Lines plain and packed, with copies within them and across."""
    root.mkdir(parents=True, exist_ok=True)
    found = {f"r{at % 3}/{at}/{row['path']}": row["text"] or "" for at, row in enumerate(any_rows(f"{key} folder", 20))}
    folder = tree(root / "folder", {**found, "r0/data.py": b"x = 1\0", "r1/latin.py": "é".encode("latin-1")})
    return [
        table(root / "groups.parquet", any_rows(f"{key} groups", 24), row_group_size=3),
        folder,
        lines(root / "plain.jsonl", any_rows(f"{key} plain", 9)),
        lines(root / "packed.jsonl.zst", any_rows(f"{key} zstd", 9)),
        table(root / "one.parquet", any_rows(f"{key} one", 24)),
        lines(root / "packed.jsonl.gz", any_rows(f"{key} gzip", 9)),
    ]


def cleaned(out: Path, *inputs: Path | str, **options: Any) -> dict[str, Any]:
    """The report of a run in this process."""
    options = {"stages": NO_FILTER, "minhash": LOOSE, "jobs": 2} | options
    return clean(Order(tuple(map(str, inputs)), out, **options))


def part_of(out: Path, name: str) -> pl.DataFrame:
    """The rows that lie in DIR/kept or in DIR/removed."""
    return pl.concat([pl.read_parquet(path, glob=False) for path in sorted((out / name).glob("*.parquet"))])


def rows_of(out: Path) -> pl.DataFrame:
    """All rows of an output."""
    kept, removed = part_of(out, "kept"), part_of(out, "removed")
    assert kept["removed_by"].null_count() == kept.height
    assert removed["removed_by"].null_count() == 0
    return pl.concat([kept, removed])


def reasons(out: Path, by: str = "path") -> dict[str, str | None]:
    """Why each file went, null for those kept, by path."""
    return dict(rows_of(out).sort(by).select(by, "removed_by").iter_rows())


def whole_frame(*inputs: Path | str) -> pl.DataFrame:
    """The inputs as the one file frame that `opencoder filter` reads."""
    return pl.concat([shard.read() for shard in open_inputs(list(map(str, inputs))).shards()])


def by_wrappers(
    files: pl.DataFrame,
    stages: str = NO_FILTER,
    minhash: MinHash | None = LOOSE,
    budgets: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """What the wrappers of chapters 01 to 06 make of the frame, its closed lists of values as text."""
    files = keep_source_files(files) if "preprocess" in stages else with_languages(files)
    if "exact" in stages:
        files = drop_exact_duplicates(files)
    if "fuzzy" in stages:
        files = drop_near_duplicates(files, minhash or MinHash())
    if "transform" in stages:
        files = redact_personal_data(strip_copyright_notices(files))
    if "filter" in stages:
        rules = load_rules("released")
        files = apply_rules(files, compute_signals(files, names={rule.signal for rule in rules}), rules)
    if "sample" in stages:
        files = downsample(files, budgets or {})
    return files.with_columns(pl.col("category", "origin").cast(pl.String))


def assert_same_rows(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Equal rows in any order; where they differ, the first ones are shown."""
    assert found.columns == expected.columns
    assert found["doc_id"].sort().to_list() == expected["doc_id"].sort().to_list()
    if content_hash(found) != content_hash(expected):
        pairs = zip(found.sort("doc_id").to_dicts(), expected.sort("doc_id").to_dicts(), strict=True)
        assert [one for one in pairs if one[0] != one[1]][:3] == []


def command(*words: object, status: int = 0, before: str = "") -> str:
    """What the command prints, after its status was checked. before: Python that runs first."""
    with started(*words, before=before) as process:
        out, err = process.communicate(timeout=200)
    assert process.returncode == status, out + err
    assert "Traceback" not in err
    return out if status == 0 else err


def started(*words: object, before: str = "") -> subprocess.Popen:
    """The command in a process, and a session, of its own."""
    code = f"{before}\nfrom opencoder_lib.cli import main\nmain()"
    call = [sys.executable, "-c", code, *(os.fsencode(str(word)) for word in words)]
    about = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen(call, env=os.environ | {"NO_COLOR": "1"}, **about)
