"""A run may end at any moment: the same command goes on from there, and the rows are those of an undisturbed run."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
from cleaning import (
    LOOSE,
    NO_FILTER,
    SLOW,
    any_inputs,
    any_rows,
    assert_same_rows,
    by_wrappers,
    cleaned,
    command,
    module,
    rows_of,
    started,
    table,
    tree,
    whole_frame,
)

from opencoder_lib.clean import command as verb
from opencoder_lib.clean import finish, steps
from opencoder_lib.clean.command import OutputFolderError
from opencoder_lib.clean.parts import Workplace, part
from opencoder_lib.clean.results import OUTPUT
from opencoder_lib.errors import InputError

OPTIONS = ("--jobs", 2, "--bands", LOOSE.bands, "--rows", LOOSE.rows)
GUARD = 120


def marks(out: Path, step: str = "*") -> dict[Path, int]:
    """When each task that is done was marked so."""
    return {path: path.stat().st_mtime_ns for path in out.glob(f".work/*/{step}/*.done")}


def wait_for(out: Path, step: str, num_tasks: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + GUARD
    while len(marks(out, step)) < num_tasks:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def processes_of(session: int) -> list[str]:
    """The processes of a session that still are, from the system's own list."""
    found = subprocess.run(["ps", "-eo", "sess=,stat=,args="], capture_output=True, text=True, check=True).stdout
    about = [line.split(maxsplit=2) for line in found.splitlines()]
    return [args for group, state, args in about if group == str(session) and not state.startswith("Z")]


def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "unit_bytes", lambda total: 2_500)
    monkeypatch.setattr(steps, "GROUP_BYTES", 800)


def calls_of(monkeypatch: pytest.MonkeyPatch, name: str, fail_at: int = 0, error: BaseException | None = None) -> list:
    """A list that grows with each call of a step; the call numbered `fail_at` ends in an error."""
    home = steps if hasattr(steps, name) else finish
    real, calls = getattr(home, name), []

    def step(*given):
        calls.append(given)
        if len(calls) == fail_at:
            raise error
        return real(*given)

    monkeypatch.setattr(home, name, step)
    return calls


def test_a_run_killed_at_five_moments_gives_the_rows_of_an_undisturbed_one(tmp_path, monkeypatch):
    inputs, out = any_inputs(tmp_path / "in"), tmp_path / "out"
    call = ("clean", *inputs, "--out", out, "--stages", "preprocess,exact,fuzzy", *OPTIONS)
    done: dict[Path, int] = {}
    for step, num_tasks in (("read", 3), ("digests", 4), ("keys", 2), ("sets", 2), ("write", 3)):
        with started(*call, before=SLOW) as process:
            wait_for(out, step, num_tasks, process)
            process.kill()
        # Nothing that was done is done again.
        assert done.items() <= marks(out).items()
        assert not (out / "report.json").exists()
        done = marks(out)
    text = command(*call, before=SLOW)
    assert "Going on with what an earlier run has done." in text
    small_units(monkeypatch)
    cleaned(tmp_path / "undisturbed", *inputs)
    assert_same_rows(rows_of(out), rows_of(tmp_path / "undisturbed"))
    assert {path.name for path in out.iterdir()} == set(OUTPUT)
    assert (out / "clusters.parquet").read_bytes() == (tmp_path / "undisturbed" / "clusters.parquet").read_bytes()


@pytest.mark.parametrize(("step", "stages"), [("read", NO_FILTER), ("write", "exact,filter")])
def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(tmp_path, step, stages):
    folder, out = tree(tmp_path / "in", {f"r/{at}.py": module(f"word{at % 9}") for at in range(16)}), tmp_path / "out"
    call = ("clean", folder, "--out", out, "--stages", stages, *OPTIONS)
    with started(*call, before=SLOW) as process:
        wait_for(out, step, 2, process)
        # As a terminal does: all processes hear of it.
        os.killpg(process.pid, signal.SIGINT)
        printed, errors = process.communicate(timeout=GUARD)
    assert process.returncode == 130, errors
    assert "Stopped. What is done is kept: the same command goes on from there." in printed
    assert "Traceback" not in errors
    # Of the engine's processes none may outlive its task.
    deadline = time.monotonic() + GUARD
    while processes_of(process.pid):
        assert time.monotonic() < deadline, processes_of(process.pid)
        time.sleep(0.1)
    cleaned(out, folder, stages=stages) if step == "write" else command(*call, before=SLOW)
    assert_same_rows(rows_of(out), by_wrappers(whole_frame(folder), stages))


SAMPLED = {"stages": f"{NO_FILTER},sample", "budgets": {"python": 4_000}}


@pytest.mark.parametrize(
    "name", ["read_unit", "write_digests", "write_keys", "write_sets", "decide_batch", "write_out", "write_sample"]
)
def test_a_task_that_fails_is_all_that_is_missing(tmp_path, monkeypatch, name):
    small_units(monkeypatch)
    monkeypatch.setattr("opencoder_lib.clean.run.BATCH_SHINGLES", 20)
    source, out = table(tmp_path / "in.parquet", any_rows("failing", 40)), tmp_path / "out"
    with monkeypatch.context() as patch:
        calls_of(patch, name, 3, InputError("The network folder went away."))
        with pytest.raises(Exception, match="The network folder went away") as caught:
            cleaned(out, source, **SAMPLED)
        assert caught.value.exit_code == 2
    step = {"read_unit": "read", "decide_batch": "decide"}.get(
        name, name.removeprefix("write_").replace("out", "write")
    )
    done = {path.stem for path in marks(out, step)}
    calls = calls_of(monkeypatch, name)
    cleaned(out, source, **SAMPLED)
    assert_same_rows(rows_of(out), by_wrappers(whole_frame(source), **SAMPLED))
    assert calls
    assert done
    assert not done & {task_name(given) for given in calls}


def task_name(given: tuple) -> str:
    """The name of a task, by what a step is called with."""
    first, second = given
    if hasattr(first, "name"):
        return first.name
    return f"{json.loads(second)['number']:06d}" if second.startswith("{") else second


def test_a_defect_in_a_task_ends_the_run_and_what_is_done_stays(tmp_path, monkeypatch):
    small_units(monkeypatch)
    source = table(tmp_path / "in.parquet", any_rows("defect", 40))
    with monkeypatch.context() as patch:
        calls_of(patch, "write_keys", 4, ZeroDivisionError("of ours"))
        with pytest.raises(Exception, match="ZeroDivisionError: of ours"):
            cleaned(tmp_path / "out", source)
    reads = calls_of(monkeypatch, "read_unit")
    cleaned(tmp_path / "out", source)
    assert reads == []
    assert_same_rows(rows_of(tmp_path / "out"), by_wrappers(whole_frame(source)))


def test_a_late_task_of_a_run_that_is_over_brings_nothing_back(tmp_path):
    """A process of a killed run may end its task after the same command, given again, has tidied up."""
    place = Workplace(str(tmp_path / "out"), "order")
    with pytest.raises(FileNotFoundError), part(place.path("digests", "000000-000.parquet")) as late:
        late.add(pl.DataFrame({"doc_id": ["a"]}))
    with pytest.raises(FileNotFoundError):
        place.mark("digests", "000000-000", {})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("moves", range(len(OUTPUT) + 1))
def test_a_run_that_ends_while_the_output_is_put_in_place_goes_on_there(tmp_path, monkeypatch, moves, capsys):
    source, out = table(tmp_path / "in.parquet", any_rows("moved", 20)), tmp_path / "out"
    replace, remove, left = os.replace, shutil.rmtree, [moves]

    def move(source, target):
        if Path(target).parent == out:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        replace(source, target)

    def tidy_up(path, *given, **options):
        if Path(path) != out / ".work":
            return remove(path, *given, **options)
        # The last moment: all is in place, and part of what was done has been removed.
        remove(next(Path(path).glob("*/text")))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", move)
        patch.setattr("shutil.rmtree", tidy_up)
        with pytest.raises(KeyboardInterrupt):
            cleaned(out, source)
    assert (out / "report.json").exists() == (moves == len(OUTPUT))
    monkeypatch.setattr(verb, "carry_out", lambda *given: pytest.fail("all work was done"))
    cleaned(out, source)
    assert_same_rows(rows_of(out), by_wrappers(whole_frame(source)))
    assert {path.name for path in out.iterdir()} == set(OUTPUT)
    assert ("nothing to do" in capsys.readouterr().out) == (moves == len(OUTPUT))


def test_another_order_after_half_an_output_was_put_in_place_mixes_nothing(tmp_path, monkeypatch):
    rows = [{"path": f"{at}.py", "text": module("word") if at < 2 else module(f"word{at}")} for at in range(6)]
    source, out = table(tmp_path / "in.parquet", rows), tmp_path / "out"
    replace = os.replace

    def move(given, target):
        if Path(target) == out / "removed":
            raise KeyboardInterrupt
        replace(given, target)

    with monkeypatch.context() as patch:
        small_units(patch)
        patch.setattr("os.replace", move)
        with pytest.raises(KeyboardInterrupt):
            cleaned(out, source)
    cleaned(out, source, stages="preprocess")
    assert rows_of(out).height == 6
    assert rows_of(out)["removed_by"].null_count() == 6


@pytest.mark.parametrize(
    ("change", "said"), [("input", "inputs_fingerprint"), ("options", "settings"), ("columns", "columns")]
)
def test_what_was_done_for_another_order_is_thrown_away_and_it_is_said(tmp_path, monkeypatch, capsys, change, said):
    small_units(monkeypatch)
    folder, out = tree(tmp_path / "in", {f"r/{at}.py": module(f"word{at}") for at in range(9)}), tmp_path / "out"
    options = {"stages": "preprocess,exact"}
    with monkeypatch.context() as patch:
        calls_of(patch, "write_digests", 2, InputError("cut"))
        with pytest.raises(Exception, match="cut"):
            cleaned(out, folder, **options)
    if change == "input":
        (folder / "r" / "3.py").write_text(module("other"))
    elif change == "options":
        options = {"stages": "exact"}
    else:
        options["columns"] = verb.Columns(repo="project")
    calls = calls_of(monkeypatch, "read_unit")
    cleaned(out, folder, **options)
    assert f"An unfinished run differed in {said}: starting afresh." in capsys.readouterr().out
    assert len(calls) > 1
    cleaned(tmp_path / "undisturbed", folder, **options)
    assert_same_rows(rows_of(out), rows_of(tmp_path / "undisturbed"))


def test_each_pass_tells_how_far_it_is_at_which_rate_and_the_time_left(tmp_path, monkeypatch, capsys):
    small_units(monkeypatch)
    monkeypatch.setattr("opencoder_lib.progress.LINE_SECONDS", -1)
    source, out = table(tmp_path / "in.parquet", any_rows("told", 40)), tmp_path / "out"
    with monkeypatch.context() as patch:
        calls_of(patch, "write_keys", 4, InputError("cut"))
        with pytest.raises(Exception, match="cut"):
            cleaned(out, source)
    told = capsys.readouterr().err
    for step in ("read", "digests"):
        assert re.search(rf"^{step}: \d+% done, shard \d+, \d+\.\d MB/s, \d+ s left$", told, re.MULTILINE)
    cleaned(out, source)
    told = capsys.readouterr().err
    # What an earlier run has done counts as done, and takes no time.
    assert "read: 100%" not in told
    assert re.search(r"^keys: \d+% done, shard 2, 0\.0 MB/s$", told, re.MULTILINE)
    assert re.search(r"^write: \d+% done, shard \d+, ", told, re.MULTILINE)


def test_jobs_are_no_part_of_the_order(tmp_path, monkeypatch):
    small_units(monkeypatch)
    folder, out = tree(tmp_path / "in", {f"r/{at}.py": module(f"word{at}") for at in range(9)}), tmp_path / "out"
    with monkeypatch.context() as patch:
        calls_of(patch, "write_out", 1, InputError("cut"))
        with pytest.raises(Exception, match="cut"):
            cleaned(out, folder, jobs=2)
    calls = calls_of(monkeypatch, "write_keys")
    cleaned(out, folder, jobs=1)
    assert calls == []


def test_a_second_run_at_once_is_refused(tmp_path):
    folder, out = tree(tmp_path / "in", {f"r/{at}.py": module(f"word{at}") for at in range(40)}), tmp_path / "out"
    with started("clean", folder, "--out", out, "--stages", "exact", before=SLOW) as process:
        wait_for(out, "read", 1, process)
        with pytest.raises(OutputFolderError, match=r"Another run is writing .* at this moment"):
            cleaned(out, folder, stages="exact")
        printed, errors = process.communicate(timeout=GUARD)
    assert process.returncode == 0, printed + errors
    assert rows_of(out).height == 40


def test_a_complete_output_is_left_as_it_is_and_other_options_are_refused(tmp_path, capsys):
    folder, out = tree(tmp_path / "in", {"r/a.py": module("word")}), tmp_path / "out"
    first = cleaned(out, folder)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert cleaned(out, folder) == first
    assert "is complete: nothing to do." in capsys.readouterr().out
    with pytest.raises(OutputFolderError, match="holds the output of another run, which differs in settings"):
        cleaned(out, folder, stages="exact")
    (folder / "r" / "b.py").write_text("x = 1\n")
    with pytest.raises(OutputFolderError, match=r"differs in inputs_fingerprint. Name another folder"):
        cleaned(out, folder)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
