"""Where the work of `clean` is done: by Daft, in this process on a laptop, on the nodes of a Ray cluster otherwise.

Only two things are asked of it: to call a function for every task, and to find the rows whose key occurs more than
once. Daft is named nowhere else.
"""

import json
import os
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl

from opencoder_lib.corpora.tables import first_line
from opencoder_lib.errors import ConfigError, CookbookError

ENGINES = ("native", "ray")
# Neither library shall report home, and both draw progress bars of their own.
QUIET = {
    "DAFT_ANALYTICS_ENABLED": "0",
    "DAFT_PROGRESS_BAR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_DASHBOARD": "1",
    "RAY_DEDUP_LOGS": "0",
}

# From a task, a line of text, to notes, plain data. Picklable.
Work = Callable[[str], dict[str, Any]]


class TaskFailed(CookbookError):
    """A task ended in an error that the user can mend."""


class CrashedTask(Exception):
    """A task ended in a defect of ours; the traceback is in the message."""


class EngineFailed(CookbookError):
    """The engine itself gave up: a node is gone, a process died."""


class Engine:
    """Daft on one of its runners. jobs: tasks at the same time on this machine; a cluster takes one per processor.

    Daft chooses its runner and its threads once per process, so a later engine in it has those of the first.
    """

    def __init__(self, name: str = "native", jobs: int = 1, address: str | None = None):
        if name not in ENGINES:
            raise ConfigError(f"There is no engine {name!r}. Use {' or '.join(ENGINES)}.")
        self.name = name
        os.environ |= QUIET
        import daft

        self._daft = daft
        _set_runner(daft, name, jobs, address)
        # Tasks end in any order, and the meter shall hear of each at once.
        daft.set_execution_config(maintain_order=False)

    def each(self, tasks: Sequence[str], work: Work, processes: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (task, notes) as tasks end. processes: give each a process, for work that holds the interpreter's lock.

        Raises TaskFailed for an error that the user can mend, EngineFailed when the engine gave up; what is done stays.
        """
        if not tasks:
            return
        daft = self._daft
        own_process = processes or self.name == "ray"

        # A class with max_concurrency would do the same, but hangs on a cluster that loses a node. There, tasks have a
        # process of their own: one that dies for want of memory then ends in an error, not in silence.
        @daft.func.batch(return_dtype=daft.DataType.string(), batch_size=1, use_process=own_process)
        def run(task: Any) -> list[str]:
            if own_process:
                _end_with_parent(os.getppid())
            return [attempt(work, one) for one in task.to_pylist()]

        frame = daft.from_pydict({"task": list(tasks)})
        # Else one worker would take them all. A partition has one process, which takes a second to start.
        if self.name == "ray":
            frame = frame.into_partitions(min(len(tasks), 2 * _num_cluster_processors()))
        else:
            frame = frame.into_batches(1)
        frame = frame.select("task", run(daft.col("task")).alias("outcome"))
        try:
            for row in frame.iter_rows():
                yield row["task"], _notes(row["outcome"])
        except (CookbookError, CrashedTask, KeyboardInterrupt):
            raise
        except Exception as error:
            raise EngineFailed(f"The engine {self.name!r} gave up ({first_line(error)}).") from error

    def repeated(
        self, paths: Sequence[str], key: str, schema: Mapping[str, Any], where: tuple[str, int, int] | None = None
    ) -> pl.DataFrame:
        """The rows of Parquet files whose `key` is not null and occurs more than once, in any order.

        schema: the columns wanted, the key among them. where: a column and the least and largest value that counts.
        """
        if not paths:
            return pl.DataFrame(schema=schema)
        daft = self._daft
        # Daft takes every path for a pattern.
        literal = [re.sub(r"([\[\]{}*?\\])", r"\\\1", path) for path in paths]
        try:
            frame = daft.read_parquet(literal).where(daft.col(key).not_null())
            if where:
                column, low, high = where
                frame = frame.where((daft.col(column) >= low) & (daft.col(column) <= high))
            frame = frame.select(*schema)
            # Counting first moves keys only; most occur once and are gone before the other columns move.
            counts = frame.groupby(key).agg(daft.col(key).count().alias("opencoder:times"))
            twice = counts.where(daft.col("opencoder:times") > 1).select(key)
            found = pl.DataFrame(frame.join(twice, on=key, how="semi").to_arrow())
        except KeyboardInterrupt:
            raise
        except Exception as error:
            raise EngineFailed(f"The engine {self.name!r} gave up ({first_line(error)}).") from error
        return found.cast(dict(schema))


_runner: str | None = None


def _set_runner(daft: Any, name: str, jobs: int, address: str | None) -> None:
    global _runner
    if _runner not in (None, name):
        raise ConfigError(f"This process has already worked with the engine {_runner!r}; use another for {name!r}.")
    if name == "ray":
        _connect(address)
    if _runner is None:
        daft.set_runner_ray() if name == "ray" else daft.set_runner_native(num_threads=jobs)
        _runner = name


def _num_cluster_processors() -> int:
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _connect(address: str | None) -> None:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "--engine ray needs Ray, which is not installed: pip install 'opencoder-lib[ray]', here and on all nodes."
        ) from None
    try:
        _knock(address)
        # "auto" is the cluster that this machine belongs to; without one, Ray would start one of its own in silence.
        ray.init(address=address or "auto", log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"There is no Ray cluster at {address or 'this machine'} ({first_line(error)}). Start one with 'ray start "
            "--head', or name its address with --ray-address."
        ) from None


def _knock(address: str | None) -> None:
    """Raise OSError if nobody listens there: Ray would ask for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def attempt(work: Work, task: str) -> str:
    """What became of a task, as JSON: its notes, or the error. Errors do not cross processes unharmed; text does."""
    try:
        return json.dumps({"notes": work(task)})
    except CookbookError as error:
        return json.dumps({"error": str(error), "exit_code": error.exit_code})
    except BaseException as error:  # an exit, too: it would leave the engine waiting
        return json.dumps({"crash": "".join(traceback.format_exception(error))})


@cache
def _end_with_parent(parent: int) -> None:
    """From here on this process ends within a second of the one that started it: nobody waits for its task any more."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _notes(outcome: str) -> dict[str, Any]:
    found = json.loads(outcome)
    if "error" in found:
        failed = TaskFailed(found["error"])
        failed.exit_code = found["exit_code"]
        raise failed
    if "crash" in found:
        raise CrashedTask(f"A task failed:\n{found['crash']}")
    return found["notes"]
