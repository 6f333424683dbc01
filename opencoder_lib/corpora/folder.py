"""A folder of the user's as a file frame. Nothing in it can stop the run."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from opencoder_lib.corpora.git import BARE, WorkingTree, WorkingTrees, moment
from opencoder_lib.corpora.reading import (
    MAX_BYTES,
    Collection,
    NotAFile,
    Notes,
    Read,
    count_repos,
    file_row,
    printable_path,
    read_file,
    skipped_frame,
)
from opencoder_lib.corpora.stars import NO_STARS, StarsOf
from opencoder_lib.errors import InputError
from opencoder_lib.files import new_files

VERSION_CONTROL = frozenset({b".git", b".hg", b".svn", b".bzr", b".jj", b"_darcs", b"CVS"})
BARE_REPOSITORY = "bare git repository"


class Place(NamedTuple):
    """Where a listed file was found and what is known of it there. committed: in seconds since 1970, UTC."""

    path: str
    repo: str
    origin: str
    committed: int | None
    stars: int | None

    def row(self, read: Read, **more) -> dict:
        """The row of the file frame, with what was read."""
        return file_row(
            read,
            **more,
            **{"origin": self.origin, "repo": self.repo, "path": self.path},
            **{"stars": self.stars, "committed_at": moment(self.committed)},
        )


class Folder:
    """A folder that can be listed. root: what opens it; name: the repository of the files directly in it;
    is_repository: of all of them but those in a git repository of their own further down."""

    def __init__(self, root: bytes, name: str, is_repository: bool, notes: Notes, stars: StarsOf | None = None):
        self.root, self.name, self.is_repository = root, name, is_repository
        self._notes, self._stars, self._trees = notes, stars, WorkingTrees(root, notes)
        # Of the repository asked about last: files of one come together.
        self._known: tuple[tuple[str, WorkingTree | None], int | None] | None = None

    @classmethod
    def at(cls, root: str | Path, notes: Notes | None = None, stars: StarsOf | None = None) -> "Folder":
        """The folder at `root`. Raises InputError if it is missing, no folder, or cannot be listed."""
        root = _checked(Path(root))
        is_repository = any(os.path.lexists(root / os.fsdecode(name)) for name in VERSION_CONTROL)
        name = printable_path(root.resolve().name) or "root"
        return cls(os.fsencode(root), name, is_repository, notes or Notes(), stars)

    def walk(self) -> Iterator[tuple[bytes, str | None]]:
        """(relative path, why it is not entered or null) of everything in the folder, in byte order."""
        for relative, what in _walk(self.root):
            if what == BARE_REPOSITORY:
                self._notes.note(BARE, self._named(relative))
            yield relative, what

    def place_of(self, relative: bytes) -> Place:
        """Where the file at a relative path belongs. Files in a git working tree have the origin git, committed or
        not, so that a commit does not change their ids; what lies above the folder is never looked at."""
        path, tree = printable_path(relative), self._trees.holding(relative)
        repo = self._repo_of(path, tree)
        committed = tree.date_of(relative) if tree else None
        return Place(path, repo, "git" if tree else "folder", committed, self._stars_of(repo, tree, relative))

    def _named(self, relative: bytes) -> str:
        """A path below the folder as the user would write it."""
        return printable_path(os.path.join(self.root, relative) if relative else self.root)

    def _repo_of(self, path: str, tree: WorkingTree | None) -> str:
        if tree is None:
            top, slash, _ = path.partition("/")
            return top if slash and not self.is_repository else self.name
        inside = printable_path(tree.folder)
        return "/".join(filter(None, (self.name if self.is_repository else "", inside))) or self.name

    def _stars_of(self, repo: str, tree: WorkingTree | None, relative: bytes) -> int | None:
        if self._stars is None:
            return None
        if self._known is None or self._known[0] != (repo, tree):
            self._known = (repo, tree), self._stars(tree.remote if tree else None, repo)
            if self._known[1] is None:
                top = b"" if self.is_repository else os.path.dirname(relative).partition(b"/")[0]
                self._notes.note(NO_STARS, tree.name if tree else self._named(top))
        return self._known[1]


def collect_folder(root: str | Path, max_bytes: int = MAX_BYTES, stars: StarsOf | None = None) -> Collection:
    """Every regular file under `root` has a row; files over `max_bytes` are noted but not read.

    Each sub-folder of `root` is a repository, and files directly in it belong to one named like `root`; where `root`
    itself is under version control, it is the one repository. A git working tree further down, as a submodule is, is a
    repository of its own, named by its path. Files of a working tree have the origin git, and the time of the last
    commit that changed them. Paths are relative to `root`. Links are never followed, pipes and devices never opened,
    folders of version control never entered; these are counted in `skipped`. What could not be learnt of repositories
    is in `notes`. stars: see `corpora.stars`. Raises InputError if `root` is missing, no folder, or cannot be listed.
    """
    notes = Notes()
    folder = Folder.at(root, notes, stars)
    rows, skipped = [], []
    for relative, what in folder.walk():
        if what:
            skipped.append((what, printable_path(relative)))
            continue
        try:
            read = read_file(os.path.join(folder.root, relative), max_bytes)
        except NotAFile as error:
            skipped.append((str(error), printable_path(relative)))
            continue
        rows.append(folder.place_of(relative).row(read))
    files = new_files(rows) if rows else new_files([{"path": "", "origin": "folder", "text": ""}]).clear()
    return Collection(files, skipped_frame(skipped), count_repos(files), notes.frame())


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
        if _is_bare(entries):
            yield folder, BARE_REPOSITORY
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


def _is_bare(entries: list[os.DirEntry]) -> bool:
    """Whether a folder with these entries is what otherwise is called .git: by what git itself asks for."""
    named = {entry.name: entry for entry in entries if entry.name in (b"HEAD", b"objects", b"refs")}
    return [_is_folder(named[name]) for name in sorted(named)] == [False, True, True]
