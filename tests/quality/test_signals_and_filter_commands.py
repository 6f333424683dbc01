import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from opencoder_lib.cli import app
from opencoder_lib.corpora import collect_folder
from opencoder_lib.corpora.generated import python_module
from opencoder_lib.corpora.tables import Columns
from opencoder_lib.data_verbs import write_decisions, write_signals
from opencoder_lib.files import new_files, remaining
from opencoder_lib.quality import compute_signals, decide, load_rules, null_report
from opencoder_lib.quality.official import official_names, with_official_names
from opencoder_lib.quality.registry import SIGNALS, signal_names
from opencoder_lib.quality.tokenizers import has_conversion

PYTHON = '"""Adds."""\n\n\ndef add(first, second):\n    total = first + second\n    return total\n\n\n'
OWN_RULEBOOK = """
extends = "released"
[[rule]]
id = "code.few_words"
replaces = true
off = true
"""


def corpus(root: Path, num_files: int = 12) -> Path:
    """A folder with code, text, data, two files that are no text, and an unknown type."""
    rng = np.random.default_rng(0)
    (root / "repo").mkdir(parents=True)
    for at in range(num_files):
        (root / "repo" / f"module_{at:03d}.py").write_text(python_module(rng, 1 + at % 5))
    (root / "repo" / "README.md").write_text("A package that adds numbers.\n\nIt is small, and it is tested.\n")
    (root / "repo" / "data.json").write_text('{"a": [1, 2, 3]}')
    (root / "repo" / "empty.py").write_text("")
    (root / "repo" / "binary.py").write_bytes(b"x = 1\0")
    (root / "repo" / "latin.c").write_bytes("// Größe\n".encode("latin-1"))
    (root / "repo" / "what.xyz").write_text("who knows")
    return root


def command(*words: object, status: int = 0) -> str:
    """What the command prints, after its status was checked."""
    code = "from opencoder_lib.cli import main; main()"
    call = [sys.executable, "-c", code, *(os.fsencode(str(word)) for word in words)]
    done = subprocess.run(call, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"}, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def report_of(out: Path) -> dict:
    return json.loads(out.with_name(f"{out.name}.report.json").read_text())


def test_signals_has_every_signal_of_every_file_and_nulls_where_there_is_no_text(tmp_path):
    root, out = corpus(tmp_path / "work"), tmp_path / "out.parquet"
    text = command("signals", root, out, "--jobs", 1)
    files = collect_folder(root).files
    found = pl.read_parquet(out)
    assert found.columns == ["doc_id", *signal_names()]
    expected = files.select("doc_id").join(compute_signals(files), on="doc_id", how="left", maintain_order="left")
    assert found.equals(expected)
    assert "18 rows" in text
    assert "Without text: 1 preprocess.binary, 1 preprocess.undecodable." in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "out.parquet.report.json", "work"]


def test_filter_writes_the_decisions_of_decide_and_drops_what_is_no_text(tmp_path):
    root, out = corpus(tmp_path / "work"), tmp_path / "out.parquet"
    write_decisions([str(root)], out, Columns(), jobs=1)
    files = collect_folder(root).files
    found = pl.read_parquet(out)
    assert found.columns == ["doc_id", "decision", "removed_by", "fired"]
    assert found["doc_id"].to_list() == files["doc_id"].to_list()
    expected = decide(files, compute_signals(files), load_rules("released")).select(found.columns)
    assert found.join(expected, on="doc_id", how="semi", maintain_order="left").equals(expected)
    (binary,) = found.join(files.filter(pl.col("path") == "repo/binary.py"), on="doc_id").to_dicts()
    assert (binary["decision"], binary["removed_by"], binary["fired"]) == ("drop", "preprocess.binary", [])


def test_the_bytes_of_the_output_depend_on_neither_jobs_nor_shards(tmp_path):
    root = corpus(tmp_path / "work")
    outputs = [tmp_path / f"{name}.parquet" for name in "abc"]
    write_decisions([str(root)], outputs[0], Columns(), jobs=1)
    write_decisions([str(root)], outputs[1], Columns(), jobs=2, shard_bytes=1500)
    write_decisions([str(root)], outputs[2], Columns(), jobs=1, shard_bytes=4000)
    assert len({sha256(out) for out in outputs}) == 1
    reports = [report_of(out) for out in outputs]
    assert [report["shards"] > 3 for report in reports] == [False, True, True]
    for name in ("decisions", "removed_by", "hits", "exclusive_hits", "nulls", "not_processed", "rows", "bytes"):
        assert reports[0][name] == reports[1][name] == reports[2][name]


RUN = """
from pathlib import Path
from opencoder_lib.corpora.tables import Columns
from opencoder_lib.data_verbs import write_signals
if __name__ == "__main__":
    write_signals({paths!r}, Path({out!r}), Columns(), jobs={jobs}, shard_bytes=1000)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path, jobs):
    folder = corpus(tmp_path / "work", 40)
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps({"path": "a.py", "text": f"{PYTHON}x = {at}"}) + "\n" for at in range(40)))
    paths, out = [str(folder), str(table)], tmp_path / "out.parquet"
    write_signals(paths, tmp_path / "whole.parquet", Columns(), jobs=1)
    script = tmp_path / "run.py"
    script.write_text(RUN.format(paths=paths, out=str(out), jobs=jobs))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "out.parquet.parts").glob("0*.parquet"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not out.exists()
    report = write_signals(paths, out, Columns(), jobs=1, shard_bytes=1000)
    assert sha256(out) == sha256(tmp_path / "whole.parquet")
    assert 3 <= report["shards_kept_from_an_earlier_run"] < report["shards"]


def test_other_parameters_start_afresh_and_say_so(tmp_path, monkeypatch, capsys):
    root, out = corpus(tmp_path / "work"), tmp_path / "out.parquet"

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("opencoder_lib.shards.Parts.merge", stop)
    with pytest.raises(KeyboardInterrupt):
        write_signals([str(root)], out, Columns(), jobs=1)
    monkeypatch.undo()
    report = write_signals([str(root)], out, Columns(), jobs=1, official=True)
    assert "left parts, but it differed in official_names: starting afresh" in capsys.readouterr().err
    assert report["shards_kept_from_an_earlier_run"] == 0
    assert pl.read_parquet(out).columns[1:] == official_names()


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    root, out = corpus(tmp_path / "work"), tmp_path / "out.parquet"
    rules, calls = load_rules("released"), []

    def interrupted(files, signals, rules):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return decide(files, signals, rules)

    monkeypatch.setattr("opencoder_lib.data_verbs.decide", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_decisions([str(root)], out, Columns(), jobs=1, shard_bytes=1500)
    assert "Stopped. What is done is kept (2 shards)" in capsys.readouterr().err
    monkeypatch.undo()
    report = write_decisions([str(root)], out, Columns(), jobs=1, shard_bytes=1500)
    assert report["shards_kept_from_an_earlier_run"] == 2
    assert report["parameters"]["rulebook"]["rules"] == len(rules)


def test_several_inputs_follow_each_other(tmp_path):
    root = corpus(tmp_path / "work")
    pl.DataFrame({"doc_id": ["p"], "path": ["p.py"], "text": [PYTHON]}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text('{"doc_id": "j", "path": "j.py", "text": ""}\n{"doc_id": "k", "path": cut')
    out = tmp_path / "o.parquet"
    text = command("filter", root, tmp_path / "*.parquet", tmp_path / "t.jsonl", out, "-j", 1)
    assert pl.read_parquet(out)["doc_id"].to_list()[-2:] == ["p", "j"]
    assert "Lines that could not be read: 1" in text
    assert "line 2: not JSON" in text
    report = report_of(out)
    assert report["rows"] == 20
    assert report["unreadable_lines"][str(tmp_path / "t.jsonl")]["n"] == 1
    # OUT lies where the pattern looks; the same command again must not read it.
    before = sha256(out)
    command("filter", root, tmp_path / "*.parquet", tmp_path / "t.jsonl", out, "-j", 1)
    assert sha256(out) == before


def test_unusual_names_of_inputs_and_output_work(tmp_path):
    odd = os.path.join(os.fsencode(tmp_path), b"-\xff [x]\n")
    os.mkdir(odd)
    with open(os.path.join(odd, b"\xfe '.py"), "wb") as stream:
        stream.write(PYTHON.encode())
    out = tmp_path / "ö [*] out.parquet"
    command("filter", os.fsdecode(odd), out, "--jobs", 2)
    assert (
        pl.read_parquet(out, glob=False)["doc_id"].to_list()
        == collect_folder(os.fsdecode(odd)).files["doc_id"].to_list()
    )
    assert report_of(out)["inputs"] == [f"{tmp_path}/-\\xff [x]\n"]


def test_the_report_adds_up(tmp_path):
    root, out = corpus(tmp_path / "work"), tmp_path / "out.parquet"
    report = write_decisions([str(root)], out, Columns(), jobs=1, shard_bytes=1500)
    found = pl.read_parquet(out)
    files = collect_folder(root).files
    assert report == report_of(out)
    assert report["rows"] == found.height == sum(report["decisions"].values())
    assert report["bytes"] == files["text"].str.len_bytes().sum()
    assert report["decisions"] == dict(found["decision"].value_counts().iter_rows())
    assert report["removed_by"] == dict(found["removed_by"].drop_nulls().value_counts().iter_rows())
    assert report["hits"] == dict(found["fired"].explode().drop_nulls().value_counts().iter_rows())
    alone = found.filter(pl.col("fired").list.len() == 1)["fired"].explode()
    assert report["exclusive_hits"] == dict(alone.value_counts().iter_rows())
    assert report["not_processed"] == {"preprocess.binary": 1, "preprocess.undecodable": 1}
    assert report["parameters"]["zh_conversion"] == has_conversion()
    assert report["parameters"]["rulebook"]["name"] == "released"
    assert len(report["parameters"]["rulebook"]["sha256"]) == 64
    wanted = {rule.signal for rule in load_rules("released")}
    expected = null_report(remaining(files), compute_signals(files, names=wanted))
    found = {(entry["scope"], entry["signal"], entry["nulls"], entry["because"]) for entry in report["nulls"]}
    assert found == set(expected.select("scope", "signal", "nulls", "because").iter_rows())
    assert found != set()
    assert {entry["files"] for entry in report["nulls"] if entry["scope"] == "python"} <= {13}


def test_rows_that_an_earlier_stage_removed_stay_removed(tmp_path):
    rows = [{"doc_id": "1", "path": "a.py", "text": PYTHON, "removed_by": "exact.duplicate"}]
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    write_decisions([str(tmp_path / "t.parquet")], tmp_path / "o.parquet", Columns(), jobs=1)
    assert pl.read_parquet(tmp_path / "o.parquet").rows() == [("1", "drop", "exact.duplicate", [])]


def test_a_table_without_rows_gives_an_output_without_rows(tmp_path):
    pl.DataFrame(schema={"path": pl.String, "text": pl.String}).write_parquet(tmp_path / "t.parquet")
    write_signals([str(tmp_path / "t.parquet")], tmp_path / "o.parquet", Columns(), jobs=1)
    assert pl.read_parquet(tmp_path / "o.parquet").columns == ["doc_id", *signal_names()]
    assert pl.read_parquet(tmp_path / "o.parquet").height == 0


def test_a_rulebook_of_ones_own_is_a_path(tmp_path):
    root = corpus(tmp_path / "work", 2)
    (tmp_path / "mine.toml").write_text(OWN_RULEBOOK)
    report = write_decisions([str(root)], tmp_path / "o.parquet", Columns(), str(tmp_path / "mine.toml"), 1)
    assert report["parameters"]["rulebook"]["name"] == "mine"
    assert "code.few_words" not in report["hits"]


def test_official_names_stand_for_the_files_that_have_them():
    files = new_files(
        [
            {"path": "a.py", "origin": "folder", "text": "x = 1\n"},
            {"path": "a.md", "origin": "folder", "text": "one two\n"},
            {"path": "a.sql", "origin": "folder", "text": "select 1;\n"},
            {"path": "a.svg", "origin": "folder", "text": "<svg/>"},
        ]
    )
    signals = compute_signals(files)
    found = with_official_names(files, signals)
    assert found["doc_id"].to_list() == files["doc_id"].to_list()
    assert found.columns == ["doc_id", *official_names()]
    assert found["qsc_code_num_words"].to_list() == [*signals["num_words"][:1], None, signals["num_words"][2], None]
    assert found["qsc_doc_num_words"].to_list() == [None, signals["num_words"][1], None, None]
    assert found["qsc_codepython_cate_ast"].to_list() == [1, None, None, None]
    # The general name with the definition of the language: comments of Python count docstrings.
    assert found["qsc_code_frac_chars_comments"][0] == signals["frac_chars_comments"][0] is not None


def test_official_names_are_each_there_once_and_never_our_own():
    names = official_names()
    assert len(names) == len(set(names))
    assert set(names) == {entry.official for entry in SIGNALS.values() if not entry.mends}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("signals", "work"), "Give at least one input and then the output"),
        (("signals", "work", "out.csv"), "must end in .parquet, not 'out.csv'"),
        (("signals", "work", "nowhere/out.parquet"), "There is no folder 'nowhere' to write out.parquet into"),
        (("signals", "wrok", "out.parquet"), "There is no file or folder 'wrok'. Did you mean work?"),
        (("signals", "*.tsv", "out.parquet"), "Nothing matches the pattern '*.tsv'"),
        (("signals", "stack.parquet", "out.parquet"), "Is it --text-column content?"),
        (("signals", "stack.parquet", "stack.parquet"), "is both an input and the output"),
        (("filter", "work", "out.parquet", "--rulebook", "relased"), "no rulebook 'relased'"),
        (("filter", "work", "out.parquet", "--jobs", "0"), "--jobs"),
        (("filter", "work", "out.parquet", "--rulbook", "x"), "--rulbook"),
    ],
)
def test_wrong_use_is_one_clear_line_and_status_2(tmp_path, monkeypatch, words, message):
    corpus(tmp_path / "work", 1)
    pl.DataFrame({"path": ["a"], "content": ["b"]}).write_parquet(tmp_path / "stack.parquet")
    monkeypatch.chdir(tmp_path)
    printed = " ".join(command(*words, status=2).split())
    assert message in printed
    assert not (tmp_path / "out.parquet").exists()
    assert not (tmp_path / "out.parquet.parts").exists()


def test_a_repeated_id_fails_with_status_1(tmp_path):
    pl.DataFrame({"doc_id": ["x", "x"], "path": ["a", "b"], "text": ["", ""]}).write_parquet(tmp_path / "t.parquet")
    printed = command("signals", tmp_path / "t.parquet", tmp_path / "o.parquet", status=1)
    assert printed.startswith("Error: doc_id 'x' occurs more than once, the second time in row 2 of ")


@pytest.mark.parametrize("verb", ["signals", "filter"])
def test_help_has_an_example(verb):
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert f"Example: opencoder {verb}" in " ".join(done.output.split())
