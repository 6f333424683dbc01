"""Files and folders that appear under their name whole or not at all, whatever ends the process."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from opencoder_lib.errors import CookbookError


class CannotWrite(CookbookError):
    """A file could not be written: the disk is full, a quota is used up, a folder may not be written to."""


class HashingFile:
    """A file that is hashed and counted while it is written, and remembers why a write failed."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self._digest = hashlib.sha256()
        self.num_bytes = 0
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Write all of `data`."""
        try:
            self._stream.write(data)
        except OSError as error:
            # torch reports a failed write in words of its own that do not say why.
            self.error = error
            raise
        self._digest.update(data)
        self.num_bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._stream.flush()

    @property
    def written(self) -> dict[str, Any]:
        """What was written: bytes and SHA-256."""
        return {"bytes": self.num_bytes, "sha256": self._digest.hexdigest()}


def write_durably(path: Path, write: Callable[[HashingFile], Any]) -> dict[str, Any]:
    """Call `write` with the file, force it to disk, and return its bytes and SHA-256.

    Raises CannotWrite, naming the reason and the room that is left, when the system refuses a write.
    """
    with explained(path), open(path, "wb") as stream:
        file = HashingFile(stream)
        try:
            write(file)
        except RuntimeError:
            if file.error is not None:
                raise file.error from None
            raise
        stream.flush()
        os.fsync(stream.fileno())
    return file.written


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the system says against writing `path` becomes CannotWrite, with the room that is left."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(existing(path)).free
        raise CannotWrite(
            f"{path} could not be written: {error.strerror or error} ({in_bytes(free)} free there). "
            "Make room or choose another folder, then give the same command again."
        ) from None


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Call `write` with a temporary path beside `path`, flush it to disk, then rename it into place.

    A kill or a full disk leaves the old file or none, never half a new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_durably(path: Path, write: Callable[[HashingFile], Any]) -> dict[str, Any]:
    """Write a file under a temporary name, then rename it into place; return its bytes and SHA-256."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        written = write_durably(partial, write)
        os.replace(partial, path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return written


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk, so that a rename survives a loss of power."""
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(partial: Path, folder: Path) -> None:
    """Rename a finished folder to its name; one that was there before is gone only after that."""
    before = folder.with_name(f".{folder.name}.replaced")
    if folder.exists():
        os.replace(folder, before)
    os.replace(partial, folder)
    sync_folder(folder.parent)
    shutil.rmtree(before, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder; cut off on the way, what is left has another name and is tidied up later."""
    leaving = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(leaving, ignore_errors=True)
    os.replace(folder, leaving)
    shutil.rmtree(leaving, ignore_errors=True)


def tidy(parent: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove what a process that was killed left in `parent`, and put back what it was about to replace.

    is_ours: whether a name is one that is written there; what has other names is not touched.
    """
    for leftover in parent.glob(".*"):
        name, _, state = leftover.name.removeprefix(".").rpartition(".")
        if not is_ours(name):
            continue
        if state == "replaced" and not (parent / name).exists():
            os.replace(leftover, parent / name)
        elif state in ("partial", "removed", "replaced"):
            shutil.rmtree(leftover)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def as_json(value: Any) -> bytes:
    """`value` as indented JSON with sorted keys; numbers come back bit for bit."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def in_bytes(count: float) -> str:
    """'3.1 GB': decimal units."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def existing(path: Path) -> Path:
    """The nearest folder upwards of `path` that exists."""
    path = Path(path).absolute()
    return next(place for place in (path, *path.parents) if place.is_dir())
