"""Programs in, verdicts out: keeps one process of `runner.py` busy, and starts the next when a program ended it."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opencoder_lib.errors import ConfigError
from opencoder_lib.sandbox import runner
from opencoder_lib.sandbox.values import NotPlain, TooLarge, pack, unpack

MAX_ANSWER = 4 * 2**20
START_SECONDS = 60.0


@dataclass(frozen=True)
class Case:
    """A call and what it gives: plain values, compared with Python's `==`."""

    args: tuple
    expected: Any


@dataclass(frozen=True)
class Candidate:
    """A program, the function of it that is called, and the cases it must give."""

    source: str
    entry_point: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Limits:
    """What a program may use: seconds of processor time for all its cases, bytes of address space.

    wall_seconds only ends what waits without computing; verdicts rest on processor time, which a busy machine does not
    stretch.
    """

    cpu_seconds: float = 1.0
    memory_bytes: int = 256 * 2**20
    wall_seconds: float = 60.0

    def __post_init__(self):
        if self.cpu_seconds <= 0 or self.wall_seconds < self.cpu_seconds:
            raise ConfigError(
                f"cpu_seconds={self.cpu_seconds} must be positive and at most wall_seconds={self.wall_seconds}."
            )
        if self.memory_bytes < 64 * 2**20:
            raise ConfigError(f"memory_bytes={self.memory_bytes:,}: the interpreter itself needs 64 MiB.")


def run(candidates: Sequence[Candidate], limits: Limits | None = None) -> list[str]:
    """The verdict of each candidate, in their order; one that ends its process does not disturb the others.

    passed; wrong; error:KIND (an exception's name, NoSuchFunction, NotPlain or TooLarge for what was returned);
    refused:WORD (see whitelist.py); timeout; memory; crashed. The first case that fails decides. Raises ConfigError
    where processes cannot be limited, and when a case is not made of plain values.
    """
    limits = limits or Limits()
    if sys.platform != "linux":
        raise ConfigError(
            f"Generated programs run only under limits that Linux enforces; this is {sys.platform}. Run this part in a "
            "Linux container or machine."
        )
    verdicts: list[str] = []
    worker = None
    try:
        for candidate in candidates:
            job = _job(candidate)
            worker = worker if worker and worker.alive else _Worker(limits)
            verdicts.append(worker.judge(candidate, job))
    finally:
        if worker:
            worker.close()
    return verdicts


def _job(candidate: Candidate) -> bytes:
    if not candidate.cases:
        raise ConfigError(f"The program of {candidate.entry_point!r} has no case, so nothing could fail. Give one.")
    try:
        cases = [pack(case.args) for case in candidate.cases]
        _ = [pack(case.expected) for case in candidate.cases]
    except (NotPlain, TooLarge) as error:
        raise ConfigError(
            f"A case of {candidate.entry_point!r} is not a plain value of moderate size ({type(error).__name__} "
            f"{error}). Use numbers, texts, lists, tuples, sets and dicts."
        ) from None
    about = {"source": candidate.source, "entry_point": candidate.entry_point, "cases": cases}
    return json.dumps(about).encode() + b"\n"


class _Worker:
    """A running `runner.py`."""

    def __init__(self, limits: Limits):
        self._limits = limits
        # Not -I, which would ignore the hash seed: the order of a set must be the same in every run. The environment
        # holds nothing else, so nothing that -I guards against is left.
        command = [sys.executable, "-s", "-S", "-B", "-W", "ignore", runner.__file__, json.dumps(asdict(limits))]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
            cwd="/",
            close_fds=True,
            start_new_session=True,
        )
        os.set_blocking(self._process.stdout.fileno(), False)
        self._reader = selectors.DefaultSelector()
        self._reader.register(self._process.stdout, selectors.EVENT_READ)
        self.alive = True
        if self._answer(START_SECONDS) != {"ready": True}:
            code = self.close()
            raise ConfigError(
                f"The process for generated programs does not start (exit {code}) under {limits}. Does "
                f"{sys.executable!r} start with -S, and may this user set resource limits?"
            )

    def judge(self, candidate: Candidate, job: bytes) -> str:
        """The verdict of one candidate. `alive` is false afterwards when it ended the process."""
        try:
            self._process.stdin.write(job)
            self._process.stdin.flush()
            found = self._answer(self._limits.wall_seconds)
        except BrokenPipeError:
            found = None
        if found is None:
            return self._ended()
        if found.get("late") or found.get("error") == "MemoryError":
            self.close()
        try:
            return _verdict(candidate, found)
        except (AttributeError, KeyError, NotPlain, OverflowError, RecursionError, TypeError, ValueError):
            # Nothing that runner.py writes: the program must have written it.
            self.close()
            return "crashed"

    def _answer(self, seconds: float) -> dict | None:
        """The next line as an object: {} when it is none, {"late": True} without one in time; None at the end."""
        deadline, line = time.monotonic() + seconds, b""
        while not line.endswith(b"\n") and len(line) <= MAX_ANSWER:
            if not self._reader.select(max(0.0, deadline - time.monotonic())):
                return {"late": True}
            part = self._process.stdout.read(1 << 16)
            if not part:
                return None
            line += part
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _ended(self) -> str:
        """What ended the process, which has closed its output."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        self.close()
        return "timeout" if code in (-signal.SIGPROF, -signal.SIGXCPU) else "crashed"

    def close(self) -> int:
        """End the process, with whatever it may have started, and return how it ended."""
        self.alive = False
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self._reader.close()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        return code


def _verdict(candidate: Candidate, found: dict) -> str:
    if found.get("late"):
        return "timeout"
    if "refused" in found:
        return f"refused:{found['refused']}"
    for case, packed in zip(candidate.cases, found["values"], strict=False):
        if unpack(packed) != case.expected:
            return "wrong"
    if found["error"]:
        return "memory" if found["error"] == "MemoryError" else f"error:{found['error']}"
    if len(found["values"]) != len(candidate.cases):
        raise ValueError("fewer answers than cases")
    return "passed"
