"""A folder of the user's as a file frame. Nothing in it can stop the run."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opencoder_lib.corpora.reading import (
    MAX_BYTES,
    Collection,
    NotAFile,
    count_repos,
    file_row,
    printable_path,
    read_file,
    skipped_frame,
)
from opencoder_lib.errors import InputError
from opencoder_lib.files import new_files

VERSION_CONTROL = frozenset({b".git", b".hg", b".svn", b".bzr", b".jj", b"_darcs", b"CVS"})


@dataclass(frozen=True)
class Folder:
    """A folder that can be listed. name: the repository of the files directly in it; is_repository: of all of them."""

    root: bytes
    name: str
    is_repository: bool

    @classmethod
    def at(cls, root: str | Path) -> "Folder":
        """The folder at `root`. Raises InputError if it is missing, no folder, or cannot be listed."""
        root = _checked(Path(root))
        is_repository = any(os.path.lexists(root / os.fsdecode(name)) for name in VERSION_CONTROL)
        return cls(os.fsencode(root), printable_path(root.resolve().name) or "root", is_repository)

    def walk(self) -> Iterator[tuple[bytes, str | None]]:
        """(relative path, why it is not entered or null) of everything in the folder, in byte order."""
        return _walk(self.root)

    def repo_of(self, path: str) -> str:
        """The repository that a relative path belongs to."""
        top, slash, _ = path.partition("/")
        return top if slash and not self.is_repository else self.name


def collect_folder(root: str | Path, max_bytes: int = MAX_BYTES) -> Collection:
    """Every regular file under `root` has a row; files over `max_bytes` are noted but not read.

    Each sub-folder of `root` is a repository, and files directly in it belong to one named like `root`; where `root`
    itself is under version control, it is the one repository. Paths are relative to `root`. Links are never followed,
    pipes and devices never opened, folders of version control never entered; these are counted in `skipped`.
    Raises InputError if `root` is missing, no folder, or cannot be listed.
    """
    folder = Folder.at(root)
    rows, skipped = [], []
    for relative, what in folder.walk():
        path = printable_path(relative)
        if what:
            skipped.append((what, path))
            continue
        try:
            read = read_file(os.path.join(folder.root, relative), max_bytes)
        except NotAFile as error:
            skipped.append((str(error), path))
            continue
        rows.append(file_row(read, origin="folder", repo=folder.repo_of(path), path=path))
    files = new_files(rows) if rows else new_files([{"path": "", "origin": "folder", "text": ""}]).clear()
    return Collection(files, skipped_frame(skipped), count_repos(files))


def _checked(root: Path) -> Path:
    if not root.exists():
        raise InputError(f"There is no folder {str(root)!r}. Give the path of an existing folder.")
    if not root.is_dir():
        raise InputError(f"{str(root)!r} is not a folder. Give the folder that holds the files.")
    try:
        next(os.scandir(root), None)
    except OSError as error:
        raise InputError(
            f"The folder {str(root)!r} cannot be listed ({error.strerror}). Check its permissions."
        ) from None
    return root


def _walk(root: bytes) -> Iterator[tuple[bytes, str | None]]:
    """(relative path, why it is not entered or null) of everything under `root`, in byte order, without recursion."""
    # Bytes all the way: a name that is not UTF-8 must sort and open like any other.
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            yield folder, "folder that cannot be listed"
            continue
        below = []
        for entry in entries:
            relative = os.path.join(folder, entry.name)
            if entry.name in VERSION_CONTROL:
                yield relative, "version control"
            elif _is_folder(entry):
                below.append(relative)
            else:
                yield relative, None
        pending.extend(reversed(below))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode)
    except OSError:
        return False
