"""Work off a numbered stream of shards in processes; what is done stays done, however the run ends.

Each shard's result is a part: a Parquet file named by the shard's number and content, renamed into place when it is
whole. A run that is given again takes the parts that are there and goes on; one with other parameters starts afresh.
In the end the parts become one file, in order, with row groups of one size, so its bytes depend on neither the number
of processes nor the shards.
"""

import contextlib
import errno
import hashlib
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from opencoder_lib.durable import write_atomically
from opencoder_lib.errors import CookbookError
from opencoder_lib.store import read_json, write_json

try:
    import fcntl
except ImportError:  # Windows has no such locks; two runs on one OUT are then not told apart
    fcntl = None

ROW_GROUP = 20_000
ONE_THREAD = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
NOTES = "notes"


class Shard(Protocol):
    """What is worked off: picklable, numbered from 0, with a hash of what it holds and the name it begins with."""

    number: int
    key: str
    first: str


# From a shard to its part and whatever a report sums up, as plain data. Picklable.
Work = Callable[[Any], tuple[pl.DataFrame, dict[str, Any]]]


class NoPlace(CookbookError):
    """Parts have no place: it cannot be written, another run is at work there, or it holds files that are not ours."""


class WorkerDied(CookbookError):
    """A process ended in the middle of a shard."""


class DiskFull(CookbookError):
    """There is no room for a part or for the output."""


@dataclass(frozen=True)
class Done:
    """A shard whose part is in place. notes: what its work noted; seconds: of work; kept: from an earlier run."""

    shard: Shard
    path: Path
    notes: dict[str, Any]
    seconds: float
    kept: bool


@dataclass
class Parts:
    """The folder of parts beside an output file, for one set of parameters. Use as a context: one run at a time."""

    out: Path
    parameters: dict[str, Any]
    differs: list[str] = field(default_factory=list)
    _fingerprint: str = field(default="", init=False, repr=False)

    @property
    def folder(self) -> Path:
        """OUT.parts"""
        return parts_folder(self.out)

    def __enter__(self) -> "Parts":
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = open(self.folder / "lock", "a+b")
        except OSError as error:
            raise NoPlace(f"{self.folder} cannot be written ({error.strerror}). Name an OUT elsewhere.") from None
        if fcntl:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                raise NoPlace(
                    f"Another run is writing {self.out} at this moment. Wait for it, or name another OUT."
                ) from None
        self._keep_what_fits()
        return self

    def __exit__(self, *_: Any) -> None:
        self._lock.close()

    def _keep_what_fits(self) -> None:
        """Remove the parts of a run with other parameters; `differs` then says which."""
        about = self.folder / "run.json"
        if not about.exists() and any(path.suffix == ".parquet" for path in self.folder.iterdir()):
            raise NoPlace(
                f"{self.folder} is needed for this run's parts, but holds other files. Move it, or name another OUT."
            )
        # As JSON gives it back, so that tuples and paths compare.
        now = json.loads(json.dumps(self.parameters, default=str))
        self._fingerprint = json.dumps(now, sort_keys=True)
        with contextlib.suppress(FileNotFoundError, CookbookError):
            before = read_json(about)
            self.differs = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
            if not self.differs:
                return
        for path in self.folder.iterdir():
            if path.suffix in (".parquet", ".tmp"):
                path.unlink()
        write_json(about, now)

    def path_of(self, shard: Shard) -> Path:
        """Where the part of a shard lies, by its content and the parameters.

        A process of a killed run may write one more part after a new run has tidied up; its name then fits nothing.
        """
        made_of = hashlib.sha256(f"{self._fingerprint}\0{shard.key}".encode()).hexdigest()
        return self.folder / f"{shard.number:08d}-{made_of[:32]}.parquet"

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def merge(self, done: list[Path], empty: pl.DataFrame) -> int:
        """Write the parts `done`, in order, as the output file, atomically; return its rows. Raises DiskFull.

        empty: what is written if there are no parts.
        """
        merged = self.folder / "merged.tmp"
        rows = pl.scan_parquet(done, glob=False) if done else empty.lazy()
        with explained_if_full(self.out):
            rows.sink_parquet(merged, compression="zstd", row_group_size=ROW_GROUP, maintain_order=True)
            with open(merged, "rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(merged, self.out)
        return pl.scan_parquet(self.out, glob=False).select(pl.len()).collect().item()


def work_off(shards: Iterable[Shard], work: Work, parts: Parts, jobs: int) -> Iterator[Done]:
    """Yield each shard when its part is in place: at once where an earlier run made it, else when it is worked off.

    jobs: processes with one thread each; with 1 the work is done in this one. At most `jobs` shards wait in memory
    beside those at work. Raises what `work` raised, WorkerDied, or DiskFull; parts in place stay.
    """
    found = _looked_up(shards, parts)
    if jobs == 1:
        for item in found:
            yield item if isinstance(item, Done) else _finished(_attempt(work, item, parts.path_of(item)), item, parts)
        return
    ready: list[Shard] = []
    exhausted = False
    with _Pool(work, jobs) as pool:
        while ready or pool.busy or not exhausted:
            while ready and pool.has_room:
                shard = ready.pop(0)
                pool.start(shard, parts.path_of(shard))
            # While all processes are busy the next shards are read, so that none waits for input later.
            if read_on := not exhausted and len(ready) < jobs:
                item = next(found, None)
                exhausted = item is None
                if isinstance(item, Done):
                    yield item
                elif item is not None:
                    ready.append(item)
            for shard, outcome in pool.ended(block=not read_on):
                yield _finished(outcome, shard, parts)


def _looked_up(shards: Iterable[Shard], parts: Parts) -> Iterator["Shard | Done"]:
    """Each shard, or its Done where its part is there."""
    for shard in shards:
        yield _kept(shard, parts.path_of(shard)) or shard


def _kept(shard: Shard, path: Path) -> Done | None:
    if not path.is_file():
        return None
    noted = json.loads(pl.read_parquet_metadata(path)[NOTES])
    return Done(shard, path, noted["notes"], noted["seconds"], kept=True)


def _attempt(work: Work, shard: Shard, path: Path) -> dict[str, Any] | BaseException:
    """Work off one shard and put its part in place; what was noted, or what went wrong."""
    began = time.monotonic()
    try:
        frame, notes = work(shard)
        starter = multiprocessing.parent_process()
        if starter is not None and not starter.is_alive():
            raise SystemExit  # killed; nobody waits for this part, and its folder may be gone
        noted = {"notes": notes, "seconds": time.monotonic() - began}
        metadata = {NOTES: json.dumps(noted)}
        with explained_if_full(path):
            write_atomically(path, lambda place: frame.write_parquet(place, compression="zstd", metadata=metadata))
        return noted
    except Exception as error:
        return error


def _finished(outcome: dict[str, Any] | BaseException, shard: Shard, parts: Parts) -> Done:
    if isinstance(outcome, BaseException):
        if not isinstance(outcome, CookbookError):
            outcome.add_note(f"This happened in shard {shard.number}, which begins with {shard.first!r}.")
        raise outcome
    return Done(shard, parts.path_of(shard), outcome["notes"], outcome["seconds"], kept=False)


class _Pool:
    """Processes, each with at most one shard at work. They end when this process does, however it ends."""

    def __init__(self, work: Work, jobs: int):
        self._work, self._jobs = work, jobs
        self._idle: list[Connection] = []
        self._at_work: dict[Connection, Shard] = {}
        self._processes: dict[Connection, multiprocessing.Process] = {}

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: Any) -> None:
        for connection in self._processes:
            connection.close()
        for connection, process in self._processes.items():
            # An idle one ends by itself; one at work is stopped, as nobody waits for its part any more.
            if connection in self._at_work:
                process.terminate()
        for process in self._processes.values():
            process.join()

    @property
    def busy(self) -> bool:
        """Whether a shard is at work."""
        return bool(self._at_work)

    @property
    def has_room(self) -> bool:
        """Whether a shard can be started."""
        return len(self._at_work) < self._jobs

    def start(self, shard: Shard, path: Path) -> None:
        """Hand a shard to an idle process, or to a new one."""
        connection = self._idle.pop() if self._idle else self._new_process()
        self._at_work[connection] = shard
        # A dead process is noticed when its end is awaited.
        with contextlib.suppress(BrokenPipeError):
            connection.send((shard, path))

    def ended(self, block: bool) -> list[tuple[Shard, Any]]:
        """The shards that ended since, with their outcomes; with `block` at least one, if any is at work."""
        found = []
        if not self._at_work:
            return found
        for connection in wait(list(self._at_work), timeout=None if block else 0):
            shard = self._at_work.pop(connection)
            try:
                outcome = connection.recv()
                self._idle.append(connection)
            except (EOFError, ConnectionResetError):
                process = self._processes[connection]
                process.join()
                outcome = WorkerDied(_how_it_died(process.exitcode, shard))
            found.append((shard, outcome))
        return found

    def _new_process(self) -> Connection:
        # Spawned, not forked: Polars has threads, which a fork does not survive.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        with _one_thread_each():
            process.start()
        theirs.close()
        self._processes[ours] = process
        return ours


def _serve(connection: Connection, work: Work) -> None:
    """What a process does: shards come in, outcomes go out, until the other end is closed."""
    # Ctrl-C reaches the whole terminal; the first process answers it for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            shard, path = connection.recv()
            outcome = _attempt(work, shard, path)
            if isinstance(outcome, BaseException):
                outcome = _portable(outcome)
            connection.send(outcome)


def _portable(error: BaseException) -> BaseException:
    """The error as it can cross to another process, with its traceback as a note."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if not isinstance(error, CookbookError):
        error.add_note(text)
    return error


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside use one thread each, whatever their libraries would like."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ |= dict.fromkeys(ONE_THREAD, "1")
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def _how_it_died(exitcode: int | None, shard: Shard) -> str:
    how = f"was killed by signal {-exitcode}" if exitcode and exitcode < 0 else f"ended with code {exitcode}"
    hint = ", probably for want of memory" if exitcode == -signal.SIGKILL else ""
    return (
        f"A process {how}{hint} in shard {shard.number}, which begins with {shard.first!r}. What is done is kept: "
        "give the same command again, with fewer --jobs if memory is short."
    )


@contextlib.contextmanager
def explained_if_full(path: Path) -> Iterator[None]:
    """A full disk while `path` is written becomes DiskFull; other errors pass."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        # Polars passes on the system's words, not its number.
        full = (errno.ENOSPC, errno.EDQUOT)
        if getattr(error, "errno", None) not in full and not any(f"os error {code})" in str(error) for code in full):
            raise
        raise DiskFull(
            f"The disk that holds {path.parent} is full. What is done is kept: make room, then give the same command."
        ) from None


def parts_folder(out: Path) -> Path:
    """Where the parts of an output file lie until it is whole: OUT.parts beside it."""
    return out.with_name(f"{out.name}.parts")
