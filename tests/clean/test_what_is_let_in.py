"""Licences, notebooks and text files in `opencoder clean`, and what git knows of a folder."""

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest
from cleaning import cleaned, command, module, part_of, reasons, rows_of, table, tree

MIT = """MIT License

Copyright (c) 2020 Ann Example

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
GPL_HEADER = "# SPDX-License-Identifier: GPL-3.0-only\n"
STAGES = "preprocess,exact"


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencoder_lib.clean.command.unit_bytes", lambda total: 300)
    monkeypatch.setattr("opencoder_lib.clean.steps.GROUP_BYTES", 300)


def corpus(root: Path) -> Path:
    """Three repositories: MIT with a part of its own, one that only a manifest speaks for, one that says nothing."""
    return tree(
        root,
        {
            "free/LICENSE": MIT,
            "free/a.py": module("alpha"),
            "free/deep/er/b.py": module("beta"),
            "free/deep/c.py": GPL_HEADER + module("gamma"),
            "free/vendor/package.json": json.dumps({"name": "x", "license": "Weird-1.0"}),
            "free/vendor/d.py": module("delta"),
            "stated/pyproject.toml": '[project]\nname = "x"\nlicense = "Apache-2.0"\n',
            "stated/e.py": module("epsilon"),
            "silent/f.py": module("zeta"),
        },
    )


def licences(out: Path) -> dict[str, str | None]:
    python = rows_of(out).filter(pl.col("path").str.ends_with(".py"))
    return dict(python.sort("path").select("path", "license").iter_rows())


def test_every_file_has_the_licence_of_its_header_or_of_the_nearest_folder_that_has_one(tmp_path, monkeypatch):
    small(monkeypatch)
    cleaned(tmp_path / "out", corpus(tmp_path / "in"), stages=STAGES)
    assert licences(tmp_path / "out") == {
        "free/a.py": "MIT",
        "free/deep/c.py": "GPL-3.0-only",
        "free/deep/er/b.py": "MIT",
        "free/vendor/d.py": None,
        "silent/f.py": None,
        "stated/e.py": "Apache-2.0",
    }


def test_only_permissive_licences_stay_where_the_user_asks_so(tmp_path, monkeypatch):
    small(monkeypatch)
    report = cleaned(tmp_path / "out", corpus(tmp_path / "in"), stages=STAGES, licences="permissive")
    found = {path: reason for path, reason in reasons(tmp_path / "out").items() if path.endswith(".py")}
    assert found == {
        "free/a.py": None,
        "free/deep/c.py": "preprocess.licence_not_permissive",
        "free/deep/er/b.py": None,
        "free/vendor/d.py": "preprocess.licence_unknown",
        "silent/f.py": "preprocess.licence_unknown",
        "stated/e.py": None,
    }
    told = {row["license"]: (row["permissive"], row["files_kept"]) for row in report["licences"]}
    assert told["MIT"][0] is True
    assert told["GPL-3.0-only"] == (False, 0)
    assert told[None] == (False, 0)


def test_a_copy_that_may_not_stay_takes_no_other_with_it(tmp_path):
    text = module("shared")
    rows = [
        {"path": "a.py", "repo": "closed", "license": "Proprietary", "stars": 900, "text": text},
        {"path": "b.py", "repo": "open", "license": "BSD-3-Clause", "stars": 1, "text": text},
    ]
    source = table(tmp_path / "in.parquet", rows)
    cleaned(tmp_path / "out", source, stages=STAGES, licences="permissive")
    assert reasons(tmp_path / "out") == {"a.py": "preprocess.licence_not_permissive", "b.py": None}
    assert part_of(tmp_path / "out", "kept")["license"].to_list() == ["BSD-3-Clause"]


def test_a_choice_of_licences_that_is_none_is_named(tmp_path):
    said = command("clean", corpus(tmp_path / "in"), "--out", tmp_path / "out", "--licences", "permisive", status=2)
    assert "'permisive'" in said
    assert "Did you mean permissive" in said


def notebook(*cells: dict) -> str:
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


CELLS = (
    {"cell_type": "markdown", "source": ["# Sums\n", "of two"], "metadata": {}},
    {
        "cell_type": "code",
        "source": "print(1 + 1)",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["2\n"]}],
        "metadata": {},
    },
)
STRUCTURED = "<jupyter_start><jupyter_text># Sums\nof two<jupyter_code>print(1 + 1)<jupyter_output>2"


def test_notebooks_become_text_code_and_output_and_broken_ones_are_counted(tmp_path, monkeypatch):
    small(monkeypatch)
    whole = notebook(*CELLS)
    source = tree(tmp_path / "in", {"r/good.ipynb": whole, "r/bad.ipynb": "{not json", "r/none.ipynb": notebook()})
    report = cleaned(tmp_path / "out", source, stages="preprocess")
    files = {row["path"]: row for row in rows_of(tmp_path / "out").to_dicts()}
    assert files["r/good.ipynb"]["text"] == STRUCTURED
    assert files["r/good.ipynb"]["language"] == "jupyter notebook"
    assert files["r/good.ipynb"]["n_bytes"] == len(whole)
    assert files["r/bad.ipynb"]["removed_by"] == "preprocess.broken_notebook"
    assert files["r/bad.ipynb"]["text"] == "{not json"
    assert files["r/none.ipynb"]["removed_by"] == "preprocess.empty_notebook"
    assert report["languages"][0]["bytes_kept"] == len(STRUCTURED)
    assert report["transforms"] == [
        {
            "transform": "notebook",
            "kind": "structured",
            "files": 1,
            "n": 1,
            "bytes_cut": len(whole) - len(STRUCTURED),
        }
    ]


def test_what_is_left_of_a_notebook_is_counted_without_the_transform_too_and_read_again_as_it_is(tmp_path):
    source = tree(tmp_path / "in", {"r/good.ipynb": notebook(*CELLS)})
    report = cleaned(tmp_path / "out", source, stages="preprocess,exact")
    assert report["funnel"][-1]["bytes_after"] == len(STRUCTURED)
    cleaned(tmp_path / "again", *(tmp_path / "out" / "kept").glob("*.parquet"), stages="preprocess")
    assert part_of(tmp_path / "again", "kept")["text"].to_list() == [STRUCTURED]


def test_notebooks_may_be_left_out_as_the_release_does(tmp_path):
    source = tree(tmp_path / "in", {"r/good.ipynb": notebook(*CELLS), "r/a.py": module("word")})
    cleaned(tmp_path / "out", source, stages="preprocess", notebooks=False)
    assert reasons(tmp_path / "out") == {"r/a.py": None, "r/good.ipynb": "preprocess.excluded_type"}


def test_text_files_may_have_to_have_a_telling_name(tmp_path):
    texts = {"r/README.md": "# Read me", "r/story.md": "Once upon a time", "r/a.py": module("word")}
    source = tree(tmp_path / "in", texts)
    cleaned(tmp_path / "all", source, stages="preprocess")
    assert set(reasons(tmp_path / "all").values()) == {None}
    cleaned(tmp_path / "named", source, stages="preprocess", text_files="named")
    assert reasons(tmp_path / "named") == {
        "r/README.md": None,
        "r/a.py": None,
        "r/story.md": "preprocess.unnamed_text",
    }


def git(folder: Path, *words: str, date: str = "") -> None:
    about = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    environment = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": "/usr/bin:/bin"} | about
    subprocess.run(["git", *who, "-C", str(folder), *words], check=True, env=environment, capture_output=True)


def clone(root: Path, name: str, date: str) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    git(root / name, "init", "-q")
    git(root / name, "add", "-A")
    git(root / name, "commit", "-q", "-m", "all", date=date)


def test_of_equal_files_in_two_clones_the_newer_commit_stays(tmp_path):
    text = module("same")
    root = tree(tmp_path / "in", {"older/a.py": text, "newer/b.py": text, "empty/c.py": module("other")})
    clone(root, "older", "2019-03-01T12:00:00+00:00")
    clone(root, "newer", "2023-08-01T12:00:00+00:00")
    git(root / "empty", "init", "-q")
    report = cleaned(tmp_path / "out", root, stages=STAGES)
    assert reasons(tmp_path / "out")["older/a.py"] == "exact.duplicate"
    kept = {row["path"]: row for row in part_of(tmp_path / "out", "kept").to_dicts()}
    assert str(kept["newer/b.py"]["committed_at"]) == "2023-08-01 12:00:00"
    assert kept["empty/c.py"]["committed_at"] is None
    assert {row["origin"] for row in kept.values()} == {"git"}
    assert any("without commits" in note and n == 1 for note, n in report["notes"].items())


def test_stars_come_from_a_table_and_decide_first(tmp_path):
    text = module("same")
    root = tree(tmp_path / "in", {"many/a.py": text, "few/b.py": text})
    stars = tmp_path / "stars.csv"
    stars.write_text("repo,stars\nfew,3\nmany,4000\n")
    out = command("clean", root, "--out", tmp_path / "out", "--stages", STAGES, "--stars", stars)
    assert reasons(tmp_path / "out") == {"few/b.py": "exact.duplicate", "many/a.py": None}
    assert part_of(tmp_path / "out", "kept")["stars"].to_list() == [4000]
    assert "stars" not in out.partition("Note")[2]


def test_stars_that_cannot_be_read_are_one_line(tmp_path):
    (tmp_path / "stars.csv").write_text("repo,stars\nfew,many\n")
    root = tree(tmp_path / "in", {"few/b.py": module("word")})
    said = command("clean", root, "--out", tmp_path / "out", "--stars", tmp_path / "stars.csv", status=2)
    assert "Line 2" in said
    assert "'many' is no number of stars" in said
