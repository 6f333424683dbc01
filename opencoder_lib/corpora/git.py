"""When files were last committed, and where a clone comes from. What cannot be learnt is a note, never an error."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from opencoder_lib.corpora.git_program import Git, GitFailed
from opencoder_lib.corpora.reading import NotAFile, Notes, printable_path, read_file

# Made up of trees that name one another, a small repository may hold more files than there are atoms.
MAX_TRACKED, MAX_CHANGES = 10_000_000, 100_000_000
LAST_SECOND = 253_402_300_799  # of the year 9999

BARE = "bare repository, which has no working tree: clone it to read its files"
NO_GIT = "repository without dates: there is no program git here"
NO_COMMITS = "repository without commits"
NOT_TRUSTED = "repository of another user, which git reads only if `git config --global --add safe.directory` names it"
ELSEWHERE = "repository whose .git belongs to another folder"
SHALLOW = "repository with a shallow history"
AT_BOUNDARY = "file dated by the oldest commit of a shallow history: it may be older"
IMPOSSIBLE = "file whose last commit has an impossible date"
TOO_MANY = "repository with too many files or changes to read all dates"
UNREADABLE = "repository that git cannot read"

# A merge counts as a change of what it made different from all its parents, as git shows merges by default.
LOG = ("log", "-z", "-c", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", f"-O{os.devnull}")


class Remote(NamedTuple):
    """Where a clone comes from. path: owner/name, in some places with groups before."""

    host: str
    path: str


class WorkingTree:
    """A folder with a `.git`. folder: its path below the root; name: the same as the user would write it.

    dates: of each file tracked at HEAD that is there, the second (UTC, since 1970) of the first commit in git's order,
    newest first, that changed it; null where that is impossible.
    """

    def __init__(self, git: "Git", notes: Notes, root: bytes, folder: bytes):
        self.folder, self.dates = folder, {}
        self._git, self._notes = git, notes
        self._place = os.path.join(os.path.realpath(root), folder)
        self.name = printable_path(os.path.join(root, folder) if folder else root)
        try:
            self._read()
        except FileNotFoundError:
            self._note(NO_GIT)
        except GitFailed as error:
            what = str(error)
            known = what in (NO_COMMITS, ELSEWHERE, TOO_MANY)
            trusted = "dubious ownership" not in what
            self._note(what if known else f"{UNREADABLE}: {what}" if trusted else NOT_TRUSTED)

    def date_of(self, path: bytes) -> int | None:
        """When the file at `path`, from the root, was last committed."""
        return self.dates.get(path[len(self.folder) + 1 :] if self.folder else path)

    @cached_property
    def remote(self) -> Remote | None:
        """Where it was cloned from, by the setting remote.origin.url; null where that is no address."""
        with suppress(GitFailed, FileNotFoundError):
            return remote_of(self._ask("config", "--local", "-z", "--get", "remote.origin.url").rstrip(b"\0"))

    def _read(self) -> None:
        # Where .git is broken, git would go on to a folder above; `--show-prefix` is what leads here from there.
        shallow, _, prefix = self._ask("rev-parse", "--is-shallow-repository", "--show-prefix").partition(b"\n")
        if prefix != b"\n":
            raise GitFailed(ELSEWHERE)
        try:
            head = self._ask("rev-parse", "--quiet", "--verify", "HEAD").decode().strip()
        except GitFailed as error:
            raise GitFailed(NO_COMMITS) if error.status == 1 else error from None
        if boundary := self._boundary() if shallow == b"true" else frozenset():
            self._note(SHALLOW)
        odd: Counter = Counter()
        try:
            self._date(head, boundary, odd)
        finally:
            for what, n in odd.items():
                self._note(what, n)

    def _boundary(self) -> frozenset[bytes]:
        """The commits whose parents a shallow clone left out."""
        place = self._ask("rev-parse", "--git-path", "shallow").removesuffix(b"\n")
        try:
            return frozenset((read_file(os.path.join(self._place, place)).text or "").encode().split())
        except NotAFile:
            return frozenset()

    def _date(self, head: str, boundary: frozenset[bytes], odd: Counter) -> None:
        """Fill `dates`, the newest first, so that what is there is right should git give up; count the odd ones."""
        wanted = set(self._tracked(head))
        with closing(self._changes(head)) as changes:
            for commit, second, name in changes if wanted else ():
                if name not in wanted:
                    continue
                wanted.remove(name)
                self.dates[name] = second
                if commit in boundary:
                    odd[AT_BOUNDARY] += 1
                if second is None:
                    odd[IMPOSSIBLE] += 1
                if not wanted:
                    break

    def _tracked(self, head: str) -> Iterator[bytes]:
        """The paths of a commit, as far as they are there: a sparse checkout is dated sooner, in less memory."""
        names = self._git.names(self._place, "ls-tree", "-r", "-z", "--full-tree", "--name-only", head)
        for at, name in enumerate(names):
            if at == MAX_TRACKED:
                raise GitFailed(TOO_MANY)
            if os.path.lexists(os.path.join(self._place, name)):
                yield name

    def _changes(self, head: str) -> Iterator[tuple[bytes, int | None, bytes]]:
        """(commit, second, path) of each change that led to `head`, in git's order of commits."""
        # A commit begins with what nobody who made the repository could know, so no name of a file is taken for one.
        mark = os.urandom(16).hex()
        start, commit, second, is_first = mark.encode(), b"", None, False
        names = self._git.names(self._place, *LOG, f"--format={mark}%H %ct", head, "--")
        for at, name in enumerate(names):
            if at == MAX_CHANGES:
                raise GitFailed(TOO_MANY)
            if name.startswith(start):
                commit, _, second = name.removeprefix(start).partition(b" ")
                second = int(second) if second.isdigit() and int(second) <= LAST_SECOND else None
                is_first = True
            elif is_first and not name:
                is_first = False  # between a merge and its files
            else:
                yield commit, second, name.removeprefix(b"\n") if is_first else name
                is_first = False

    def _ask(self, *command: str) -> bytes:
        return self._git.ask(self._place, *command)

    def _note(self, what: str, n: int = 1) -> None:
        self._notes.note(what, self.name, n)


class WorkingTrees:
    """The working trees in and below a folder: `holding` finds the one that a file belongs to.

    Asked about the files of one sub-folder after the other, it keeps only those around the last one.
    """

    def __init__(self, root: bytes, notes: Notes):
        self._root, self._notes, self._git = root, notes, None
        self._around: list[tuple[bytes, WorkingTree | None]] = []

    def holding(self, path: bytes) -> WorkingTree | None:
        """The innermost working tree that the file at `path`, from the root, lies in; null if there is none."""
        folder = os.path.dirname(path)
        around = self._around
        while around and around[-1][0] != folder and not _is_below(folder, around[-1][0]):
            around.pop()
        while not around or around[-1][0] != folder:
            done = around[-1][0] if around else None
            step = b"" if done is None else os.path.join(done, folder[len(done) :].lstrip(b"/").split(b"/", 1)[0])
            outer = around[-1][1] if around else None
            here = os.path.lexists(os.path.join(self._root, step, b".git"))
            around.append((step, self._open(step) if here else outer))
        return around[-1][1]

    def _open(self, folder: bytes) -> WorkingTree:
        self._git = self._git or Git()
        return WorkingTree(self._git, self._notes, self._root, folder)


def _is_below(folder: bytes, other: bytes) -> bool:
    return not other or folder.startswith(other + b"/")


def moment(second: int | None) -> datetime | None:
    """A second since 1970 as the file frame keeps it: UTC, without a time zone."""
    return None if second is None else datetime.fromtimestamp(second, UTC).replace(tzinfo=None)


def remote_of(url: bytes | str) -> Remote | None:
    """Host and path of the address that a clone was made from; null for a path on the machine, or nonsense.

    Known are URLs (https, ssh, git) and the form of scp, user@host:path. Who may log in is not kept.
    """
    url = url if isinstance(url, str) else url.decode("utf-8", "replace")
    try:
        parts = urlsplit(url)
        host, path = parts.hostname or "", unquote(parts.path)
    except ValueError:
        return None
    if "://" not in url:
        # A colon after a slash is part of a path; a single letter before it is a drive.
        found = re.fullmatch(r"(?:[^/@:]*@)?([^/@:]{2,}):(.*)", url)
        host, path = found.groups() if found else ("", "")
    elif parts.scheme not in ("https", "http", "ssh", "git", "git+ssh", "ssh+git"):
        return None
    path = path.strip("/").removesuffix(".git").rstrip("/")
    host = host.lower().removeprefix("www.").removeprefix("ssh.")
    good = re.fullmatch(r"[\w.-]+(/[\w.-]+)+", path, re.ASCII) and re.fullmatch(r"[\w.-]+", host, re.ASCII)
    return Remote(host, path) if good and not {".", ".."} & set(path.split("/")) else None
