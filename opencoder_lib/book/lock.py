"""One runner at a time on a profile."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opencoder_lib.errors import CookbookError


class Busy(CookbookError):
    """Another runner is at work on this profile."""


@contextmanager
def locked(build: Path, patience: float = 5.0) -> Iterator[int]:
    """Hold build/<profile>/.lock; yield its descriptor, which the chapters' processes inherit.

    The operating system frees the lock when the last holder ends, so one that a killed runner left behind is
    nobody's. Because chapters inherit it, a new runner waits until the old one's chapters have ended too.
    patience: seconds to wait. Raises Busy.
    """
    build.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(build / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.read(descriptor, 32).decode(errors="replace").strip()
                os.lseek(descriptor, 0, os.SEEK_SET)
                if time.monotonic() > deadline or (holder.isdigit() and alive(int(holder))):
                    raise Busy(
                        f"Profile {build.name} is being built by process {holder or 'unknown'}. "
                        "Wait for it, or end it and start again: finished chapters are kept."
                    ) from None
                time.sleep(0.2)
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield descriptor
    finally:
        os.close(descriptor)


def alive(pid: int) -> bool:
    """Whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
