"""Synthetic text for annealing and tuning: the schemas OpenCoder released, and a small set of our own in them.

read_annealing(folder)                  # opc-annealing-corpus: text, and lang or program_lang -> a file frame
read_educational(folder)                # opc-sft-stage2, educational_instruct: instructions with code and test cases
shipped("snippets"), shipped("textbooks")

The shipped set is made by a program from `opencoder_lib.exercises`, not by a language model, and every row passed its
own test cases in the sandbox. It stands in for what the paper had a language model write, so that the chapters run; it
has the families of one-line functions that training may see, and nothing else. To write it again:
python -m opencoder_lib.corpora.synthetic FOLDER
"""

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

import polars as pl

from opencoder_lib.corpora.hub import KINDS, Dataset, as_files, find_dataset, open_local
from opencoder_lib.corpora.jsonlines import ENDINGS
from opencoder_lib.corpora.tables import first_line
from opencoder_lib.errors import ConfigError, CookbookError, InputError, did_you_mean
from opencoder_lib.exercises import Exercise, draw
from opencoder_lib.exercises.render import page, snippet
from opencoder_lib.files import new_files
from opencoder_lib.sandbox import parse_program, run

TABLES = (".arrow", ".parquet")
EDUCATIONAL = {
    **dict.fromkeys(("instruction", "output", "code", "entry_point"), "string"),
    "testcase": "strings",
}
MADE_BY = "program: opencoder_lib.exercises, no language model"
SEED = 0


@dataclass(frozen=True)
class Made:
    """A part of the shipped set: how many rows, how an exercise becomes one, what the column of languages is called."""

    num: int
    render: Callable[[Exercise], str]
    language_column: str


PARTS = {
    "snippets": Made(900, snippet, "lang"),
    "textbooks": Made(500, page, "program_lang"),
}


def read_annealing(where: Path | str | Sequence[Path | str]) -> pl.DataFrame:
    """The rows of opc-annealing-corpus as a file frame: origin 'synthetic', the path says file and row.

    where: files (.arrow, .parquet, .jsonl, the last also .gz and .zst), or a folder of them. `text` is required; lang
    or program_lang becomes the language in our words; other columns pass through. A row without text is out as
    preprocess.unreadable. Raises InputError naming the file, the column, and the columns there are.
    """
    dataset = find_dataset("OpenCoder-LLM/opc-annealing-corpus")
    parts = []
    for path in _files(where):
        rows = _read(path, dataset.required, "opc-annealing-corpus")
        place = pl.Series("path", [f"{path.name}:{row}" for row in range(1, rows.height + 1)], dtype=pl.String)
        # Not the hub's: the ids then depend on the place in these files alone.
        found = as_files(rows.drop("path", strict=False), dataset).drop("doc_id")
        parts.append(found.with_columns(place, origin=pl.lit("synthetic")))
    return new_files(pl.concat(parts, how="diagonal_relaxed"))


def read_educational(where: Path | str | Sequence[Path | str]) -> pl.DataFrame:
    """The rows of opc-sft-stage2, educational_instruct, as they are: one instruction a row, further columns kept.

    where: as for `read_annealing`. Required: instruction, output, code, entry_point (texts) and testcase (a list of
    asserts as text). `sandbox.parse_asserts` makes cases of the last. Raises InputError as `read_annealing` does.
    """
    name = "opc-sft-stage2/educational_instruct"
    return pl.concat([_read(path, EDUCATIONAL, name) for path in _files(where)], how="diagonal_relaxed")


def _files(where: Path | str | Sequence[Path | str]) -> list[Path]:
    given = [Path(where)] if isinstance(where, (str, Path)) else [Path(path) for path in where]
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += sorted(inside for inside in path.rglob("*") if _is_table(inside) and inside.is_file())
        elif path.is_file() and _is_table(path):
            found.append(path)
        else:
            what = "does not exist" if not path.exists() else "has an ending that is not read"
            raise InputError(f"{str(path)!r} {what}. Known: {', '.join([*TABLES, *ENDINGS])}, or a folder of these.")
    if not found:
        raise InputError(f"There is no file to read in {', '.join(map(str, given)) or 'an empty list'}.")
    return found


def _is_table(path: Path) -> bool:
    return path.name.lower().endswith((*TABLES, *ENDINGS))


def _read(path: Path, required: dict[str, str], name: str) -> pl.DataFrame:
    """The rows of a file that has the required columns."""
    try:
        if path.suffix.lower() in TABLES:
            # A data set that nothing is known of: the columns are checked here, with what there is.
            rows = open_local(Dataset(name), [path])[0].collect()
        else:
            rows = pl.read_ndjson(path, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{str(path)!r} cannot be read as JSON Lines, one object a line ({first_line(error)}). Write it again."
        ) from None
    for column, kind in required.items():
        if column not in rows.columns:
            raise InputError(
                f"{str(path)!r} has no column {column!r} ({kind}), which {name} must have. It has: "
                f"{', '.join(rows.columns) or 'none'}. Rename the column that holds it."
            )
        if not KINDS[kind](rows.schema[column]):
            raise InputError(f"{str(path)!r}: the column {column!r} is {rows.schema[column]}, not {kind}. Write it so.")
    return rows


def shipped(part: str) -> pl.DataFrame:
    """The shipped 'snippets' or 'textbooks' as a file frame; columns beside its own: made_by, family, entry_point."""
    if part not in PARTS:
        raise ConfigError(f"There is no part {part!r} of the shipped set.{did_you_mean(part, PARTS)}")
    return read_annealing(_place(Path(str(package_files("opencoder_lib.corpora") / "synthetic")), part))


def _place(folder: Path, part: str) -> Path:
    return folder / f"{part}.jsonl.gz"


def make_rows(part: str, num: int | None = None) -> list[dict[str, str]]:
    """The first `num` rows of a part, all of them by default, each of which has passed its own test cases."""
    made = PARTS[part]
    # A stream of its own for each part: their rows are other exercises.
    exercises = draw(num or made.num, seed=SEED + list(PARTS).index(part))
    rows = [
        {
            "text": made.render(exercise),
            made.language_column: "Python",
            "made_by": MADE_BY,
            "family": exercise.family,
            "entry_point": exercise.name,
        }
        for exercise in exercises
    ]
    # What is run is read back from the text, so that a text that does not say what was meant cannot pass.
    verdicts = run([parse_program(row["text"]) for row in rows])
    for row, verdict in zip(rows, verdicts, strict=True):
        if verdict != "passed":
            raise CookbookError(f"{row['entry_point']} of {row['family']} does not pass its own cases: {verdict}.")
    return rows


def make_shipped(folder: Path) -> list[Path]:
    """Write both parts into `folder` as snippets.jsonl.gz and textbooks.jsonl.gz; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in make_rows(part))
        _place(folder, part).write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
    return [_place(folder, part) for part in PARTS]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m opencoder_lib.corpora.synthetic FOLDER")
    for written in make_shipped(Path(sys.argv[1])):
        print(written)
