"""The program git, kept from running or reaching anything else.

Nobody vouches for a clone. Its settings may name programs (a pager, a signature checker, a file-system monitor, a
helper for missing objects), so git is called with all of these overruled, with no settings of the machine or the user,
and without a network. Names found in a clone never become arguments.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import BinaryIO

try:
    import resource
except ImportError:  # Windows limits no other process
    resource = None

# A pipe in the place of a file makes git wait for ever; at work it is never silent for long.
SILENCE_SECONDS = 120
# A tree may name itself ten times on each of ten levels, and git makes the list of all names before it prints one.
# What is only mapped, as the objects are, does not count.
MAX_MEMORY = 4 << 30
CHUNK, MAX_NAME = 1 << 16, 1 << 20

OVERRULED = {
    **{"core.fsmonitor": "false", "core.hooksPath": os.devnull, "core.pager": "cat", "core.askPass": ""},
    **{"log.showSignature": "false", "log.showRoot": "true", "log.mailmap": "false", "log.follow": "false"},
    **{"diff.relative": "false", "diff.renames": "false", "protocol.allow": "never", "credential.helper": ""},
}
ALWAYS = ("--no-pager", "--no-replace-objects", "--no-optional-locks", "--literal-pathspecs")
# Nothing else of the environment reaches git: GIT_DIR and its kin would name another repository.
PASSED_ON = ("PATH", "SUDO_UID", "SYSTEMROOT", "TMPDIR", "TEMP")
ENVIRONMENT = {
    **{"LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull},
    **{"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
    **{"GIT_ATTR_NOSYSTEM": "1"},
}


class GitFailed(Exception):
    """git gave up: why in a line, and its exit status, null where it was stopped or never began."""

    def __init__(self, why: str, status: int | None = None):
        super().__init__(why)
        self.status = status


class Git:
    """The program git, kept from running or reaching anything else."""

    def __init__(self):
        self._program = shutil.which("git")
        self._settings = [part for item in OVERRULED.items() for part in ("-c", "=".join(item))]
        self._environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ} | ENVIRONMENT
        if self._program:
            self._environment |= self._trusted()

    def ask(self, place: bytes, *command: str) -> bytes:
        """What a command prints about the working tree at `place`, all at once."""
        with self._running(place, command) as running:
            return b"".join(running.chunks())

    def names(self, place: bytes, *command: str) -> Iterator[bytes]:
        """What a command prints, from one NUL to the next. Who stops reading stops git."""
        with self._running(place, command) as running:
            rest = b""
            for chunk in running.chunks():
                *whole, rest = (rest + chunk).split(b"\0")
                if len(rest) > MAX_NAME:
                    raise GitFailed("it holds a name longer than any file can have")
                yield from whole

    @contextmanager
    def _running(self, place: bytes, command: tuple[str, ...]) -> Iterator["_Running"]:
        if not self._program:
            raise FileNotFoundError("git")
        # Above `place` there may be another repository, which is not asked.
        environment = self._environment | {"GIT_CEILING_DIRECTORIES": os.fsdecode(os.path.dirname(place))}
        line = [self._program, *ALWAYS, *self._settings, "-C", os.fsdecode(place), *command]
        # Complaints go to a file: a pipe that nobody reads would stop git once it is full.
        with tempfile.TemporaryFile() as told:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": told}
            try:
                program = subprocess.Popen(line, env=environment, **pipes)
            except OSError as error:
                raise GitFailed(f"git does not start ({error.strerror})") from None
            if hasattr(resource, "prlimit"):
                # Refused where less is allowed already, or the program has ended.
                with suppress(OSError, ValueError):
                    resource.prlimit(program.pid, resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
            running = _Running(program, told, place)
            try:
                yield running
            finally:
                running.end()

    def _trusted(self) -> dict[str, str]:
        """The folders of others that the user trusts, the only setting of theirs that counts, as variables."""
        found = []
        for scope in ("--system", "--global"):
            command = [self._program, "config", scope, "-z", "--type=path", "--get-all", "safe.directory"]
            with suppress(OSError, subprocess.TimeoutExpired):
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SILENCE_SECONDS, check=False
                )
                found += done.stdout.split(b"\0")[:-1]
        settings = {"GIT_CONFIG_COUNT": str(len(found))}
        for at, value in enumerate(found):
            settings |= {f"GIT_CONFIG_KEY_{at}": "safe.directory", f"GIT_CONFIG_VALUE_{at}": os.fsdecode(value)}
        return settings


class _Running:
    """A program at work, until it ends, is ended, or has been silent for too long."""

    def __init__(self, program: subprocess.Popen, told: BinaryIO, place: bytes):
        self._program, self._told, self._place = program, told, place
        self._is_silent, self._heard = False, time.monotonic()
        self._watch_for(SILENCE_SECONDS)

    def end(self) -> None:
        """Stop it, whatever it is doing."""
        self._watch.cancel()
        self._program.kill()
        self._program.stdout.close()
        self._program.wait()

    def chunks(self) -> Iterator[bytes]:
        """What it prints. Raises GitFailed at the end if it did not succeed."""
        while chunk := self._program.stdout.read1(CHUNK):
            self._heard = time.monotonic()
            yield chunk
            self._heard = time.monotonic()
        if status := self._program.wait():
            if self._is_silent:
                raise GitFailed(f"git said nothing for {SILENCE_SECONDS} s")
            raise GitFailed(self._complaint() or f"git ended with status {status}", status)

    def _watch_for(self, seconds: float) -> None:
        self._watch = Timer(seconds, self._look)
        self._watch.daemon = True
        self._watch.start()

    def _look(self) -> None:
        left = self._heard + SILENCE_SECONDS - time.monotonic()
        if left > 0:
            self._watch_for(left)
        else:
            self._is_silent = True
            self._program.kill()

    def _complaint(self) -> str:
        """The first line of what it complained about, without what differs from one repository to the next."""
        self._told.seek(0)
        line = self._told.readline(1000).replace(self._place, b".").decode("utf-8", "replace").strip()
        line = re.sub(r"\b[0-9a-f]{40,64}\b|\b[0-9a-f]{2}/[0-9a-f]{38,62}\b", "...", line)
        line = "".join(char if char.isprintable() else "?" for char in line)
        return line.removeprefix("fatal: ").removeprefix("error: ")[:200].rstrip(".")
