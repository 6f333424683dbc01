import errno
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from opencoder_lib.errors import ConfigError
from opencoder_lib.progress import Meter, in_words
from opencoder_lib.shards import DiskFull, NoPlace, Parts, WorkerDied, explained_if_full, work_off

EMPTY = pl.DataFrame(schema={"n": pl.Int64})


@dataclass(frozen=True)
class Numbers:
    """A shard of consecutive numbers."""

    number: int
    values: tuple[int, ...]

    @property
    def key(self) -> str:
        return "-".join(map(str, self.values))

    @property
    def first(self) -> str:
        return f"the number {self.values[0]}"


def numbers(count: int, size: int) -> list[Numbers]:
    return [Numbers(at, tuple(range(low, min(low + size, count)))) for at, low in enumerate(range(0, count, size))]


def square(shard: Numbers):
    return pl.DataFrame({"n": [value**2 for value in shard.values]}), {"pid": os.getpid()}


def fail_at_five(shard: Numbers):
    if 5 in shard.values:
        raise ConfigError("Five is right out.")
    return square(shard)


def break_at_five(shard: Numbers):
    if 5 in shard.values:
        raise ZeroDivisionError("a defect of ours")
    return square(shard)


def die_at_five(shard: Numbers):
    if 5 in shard.values:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(shard)


def report_threads(shard: Numbers):
    return pl.DataFrame({"n": [pl.thread_pool_size()]}), {}


def run(out: Path, shards, jobs: int, work=square, parameters=None) -> list:
    with Parts(out, parameters or {"seed": 0}) as parts:
        found = list(work_off(shards, work, parts, jobs))
        parts.merge(sorted(done.path for done in found), EMPTY)
        parts.remove()
    return found


def test_the_output_is_the_same_whatever_the_jobs_and_the_shards(tmp_path):
    for name, size, jobs in (("a", 3, 1), ("b", 3, 2), ("c", 7, 3), ("d", 100, 2)):
        run(tmp_path / f"{name}.parquet", numbers(50, size), jobs)
    outputs = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(outputs) == 1
    assert pl.read_parquet(tmp_path / "a.parquet")["n"].to_list() == [value**2 for value in range(50)]


def test_one_job_works_in_this_process_and_two_in_two_others(tmp_path):
    pids = {jobs: {done.notes["pid"] for done in run(tmp_path / "o.parquet", numbers(40, 1), jobs)} for jobs in (1, 2)}
    assert pids[1] == {os.getpid()}
    assert len(pids[2]) == 2
    assert os.getpid() not in pids[2]


def test_a_process_has_one_thread(tmp_path):
    run(tmp_path / "o.parquet", numbers(2, 1), 2, report_threads)
    assert pl.read_parquet(tmp_path / "o.parquet")["n"].to_list() == [1, 1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_finished_parts_outlive_an_error_and_are_not_made_again(tmp_path, jobs):
    out = tmp_path / "o.parquet"
    with pytest.raises(ConfigError, match="Five is right out"):
        run(out, numbers(10, 1), jobs, fail_at_five)
    assert not out.exists()
    kept = {done.shard.number for done in run(out, numbers(10, 1), jobs) if done.kept}
    # All before it, but for one that another process may have been at.
    assert len(kept & {0, 1, 2, 3, 4}) >= 6 - jobs
    assert 5 not in kept
    assert pl.read_parquet(out)["n"].to_list() == [value**2 for value in range(10)]
    assert not (tmp_path / "o.parquet.parts").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_defect_names_the_shard_it_happened_in(tmp_path, jobs):
    with pytest.raises(ZeroDivisionError) as caught:
        run(tmp_path / "o.parquet", numbers(10, 1), jobs, break_at_five)
    notes = "\n".join(caught.value.__notes__)
    assert "shard 5, which begins with 'the number 5'" in notes
    assert ("break_at_five" in notes) == (jobs == 2)  # the other process's traceback


def test_a_process_that_is_killed_is_an_error_that_names_its_shard(tmp_path):
    with pytest.raises(WorkerDied, match=r"killed by signal 9, probably for want of memory in shard 5.*fewer --jobs"):
        run(tmp_path / "o.parquet", numbers(10, 1), 2, die_at_five)


def test_other_parameters_remove_what_an_unfinished_run_left(tmp_path):
    out = tmp_path / "o.parquet"
    with pytest.raises(ConfigError):
        run(out, numbers(10, 1), 1, fail_at_five, {"seed": 0, "rules": "a"})
    with Parts(out, {"seed": 0, "rules": "b"}) as parts:
        assert parts.differs == ["rules"]
        assert not any(done.kept for done in work_off(numbers(10, 1), square, parts, 1))


def test_a_shard_with_another_content_is_worked_off_again(tmp_path):
    out = tmp_path / "o.parquet"
    with pytest.raises(ConfigError):
        run(out, numbers(10, 1), 1, fail_at_five)
    changed = [Numbers(0, (7,)), *numbers(10, 1)[1:]]
    found = run(out, changed, 1)
    assert [done.kept for done in found[:6]] == [False, True, True, True, True, False]
    assert pl.read_parquet(out)["n"][0] == 49


def test_a_part_that_a_killed_run_adds_late_fits_no_other_parameters(tmp_path):
    (shard,) = numbers(1, 1)
    with Parts(tmp_path / "o.parquet", {"rules": "a"}) as parts:
        late = parts.path_of(shard)
    with Parts(tmp_path / "o.parquet", {"rules": "b"}) as parts:
        assert parts.path_of(shard) != late
    with Parts(tmp_path / "o.parquet", {"rules": "a"}) as parts:
        assert parts.path_of(shard) == late


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    with (
        Parts(tmp_path / "o.parquet", {}),
        pytest.raises(NoPlace, match="Another run is writing"),
        Parts(tmp_path / "o.parquet", {}),
    ):
        raise AssertionError("unreachable")


def test_a_folder_of_someone_elses_files_is_never_emptied(tmp_path):
    precious = tmp_path / "o.parquet.parts" / "precious.parquet"
    precious.parent.mkdir()
    precious.write_bytes(b"x")
    with pytest.raises(NoPlace, match="holds other files"):
        run(tmp_path / "o.parquet", numbers(2, 1), 1)
    assert precious.exists()


def test_no_shards_give_an_empty_output_with_its_columns(tmp_path):
    run(tmp_path / "o.parquet", [], 2)
    assert pl.read_parquet(tmp_path / "o.parquet").equals(EMPTY)


def test_an_older_output_stays_until_the_new_one_is_whole(tmp_path):
    out = tmp_path / "o.parquet"
    run(out, numbers(3, 1), 1)
    before = out.read_bytes()
    with pytest.raises(ConfigError):
        run(out, numbers(10, 1), 1, fail_at_five)
    assert out.read_bytes() == before


def test_input_is_read_only_as_far_as_processes_need_it(tmp_path):
    read = []

    def counted():
        for shard in numbers(40, 1):
            read.append(shard.number)
            yield shard

    with Parts(tmp_path / "o.parquet", {}) as parts:
        for ended, _ in enumerate(work_off(counted(), square, parts, 2)):
            # Two at work, two ready, one being handed over.
            assert len(read) <= ended + 6


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_clear_error(tmp_path, error):
    with pytest.raises(DiskFull, match=r"is full\. What is done is kept: make room"), explained_if_full(tmp_path / "o"):
        raise error


def test_other_errors_of_writing_are_not_called_a_full_disk(tmp_path):
    with pytest.raises(PermissionError), explained_if_full(tmp_path / "o"):
        raise PermissionError(errno.EACCES, "Permission denied")


SLOW = """
import sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from test_shards import *
import test_shards
if __name__ == "__main__":
    run(Path({out!r}), numbers(6, 1), 2, test_shards.slow_square)
"""


def slow_square(shard: Numbers):
    time.sleep(0.3)
    return square(shard)


@pytest.mark.parametrize("ending", ["kill -9", "Ctrl-C"])
def test_processes_end_with_the_one_that_started_them_and_parts_stay(tmp_path, ending):
    out = tmp_path / "o.parquet"
    script = tmp_path / "run.py"
    script.write_text(SLOW.format(path=[str(Path(__file__).parent)], out=str(out)))
    environment = os.environ | {"MARK": str(tmp_path)}
    call = [sys.executable, str(script)]
    process = subprocess.Popen(call, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    parts = out.with_name("o.parquet.parts")
    deadline = time.monotonic() + 60
    while not list(parts.glob("0*.parquet")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if ending == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to all processes at once
    else:
        process.kill()
    process.wait()
    while marked := processes_with(f"MARK={tmp_path}"):
        assert time.monotonic() < deadline, f"still running: {marked}"
        time.sleep(0.1)
    # Of two at work, either may have been the first to finish.
    assert any(item.kept for item in run(out, numbers(6, 1), 1))
    assert pl.read_parquet(out)["n"].to_list() == [0, 1, 4, 9, 16, 25]


def processes_with(setting: str) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if setting.split("=")[1] == process.environ().get("MARK") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_progress_tells_share_rate_and_time_left():
    meter = Meter(100_000_000, Console(file=io.StringIO()))
    meter.began -= 10
    meter.advance(40_000_000, 90_000_000, kept=True)
    meter.advance(20_000_000, 50_000_000, kept=False)
    assert meter.state() == "shard 2, 5.0 MB/s, 20 s left"


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal():
    out = io.StringIO()
    with Meter(100, Console(file=out, width=80)) as meter:
        meter.advance(10, 10, kept=False)
        assert out.getvalue() == ""
        meter._spoken -= 60
        meter.advance(40, 40, kept=False)
    assert out.getvalue().startswith("50% done, shard 2, ")
    assert out.getvalue().count("\n") == 1


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (180, "3 min"), (7500, "2 h 05 min")])
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
