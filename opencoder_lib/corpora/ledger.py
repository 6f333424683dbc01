"""What must be remembered about a whole corpus while it streams by: a temporary database, so that memory stays bounded.

SQLite keeps a few MB in memory and the rest in a temporary file that disappears with the process, however it ends.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from opencoder_lib.corpora.folder import Place
from opencoder_lib.errors import SchemaError
from opencoder_lib.files import doc_id

CACHE_KILOBYTES = 16_000
TABLES = """
CREATE TABLE place (key BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE id (key BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE listing (source INTEGER, number INTEGER, full BLOB, size INTEGER, changed INTEGER, path TEXT, repo TEXT,
                      origin TEXT, committed INTEGER, stars INTEGER, PRIMARY KEY (source, number)) WITHOUT ROWID;
"""


class Listed(NamedTuple):
    """A file as it was listed. full: the path that opens it; size in bytes; changed: in nanoseconds; place: where it
    was found, as `folder.Place`."""

    full: bytes
    size: int
    changed: int
    place: Place


class Ledger:
    """Ids given so far, how often each place occurred, and the files listed for each source."""

    def __init__(self):
        # The empty name stands for a temporary file of SQLite's own.
        self._base = sqlite3.connect("", isolation_level=None)
        for pragma in (f"cache_size = -{CACHE_KILOBYTES}", "journal_mode = OFF", "synchronous = OFF"):
            self._base.execute(f"PRAGMA {pragma}")
        self._base.executescript(TABLES)
        self._base.execute("BEGIN")
        self._num_listed = 0

    def forget_ids(self) -> None:
        """Start counting ids and places anew; the listing stays."""
        self._base.execute("DELETE FROM place")
        self._base.execute("DELETE FROM id")

    def id_of(self, origin: str, repo: str | None, path: str, given: str | None = None, where: str = "") -> str:
        """The id of the next row, `given` or derived as `files.new_files` does: the nth occurrence of a place counts.

        where: names the row in the error. Raises SchemaError if the id was there before.
        """
        first = doc_id(origin, repo, path)
        earlier = self._count("place", bytes.fromhex(first))
        found = given if given is not None else doc_id(origin, repo, path, earlier) if earlier else first
        if self._count("id", hashlib.sha256(found.encode("utf-8", "surrogatepass")).digest()[:16]):
            raise SchemaError(
                f"doc_id {found!r} occurs more than once, the second time in {where}; ids must be unique. "
                "Name another column with --id-column, or one that does not exist: ids are then derived from the paths."
            )
        return found

    def _count(self, table: str, key: bytes) -> int:
        """How often `key` was counted before; counts it."""
        if self._base.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, 1)", (key,)).rowcount:
            return 0
        (n,) = self._base.execute(f"SELECT n FROM {table} WHERE key = ?", (key,)).fetchone()
        self._base.execute(f"UPDATE {table} SET n = n + 1 WHERE key = ?", (key,))
        return n

    def list_file(self, source: int, file: Listed) -> None:
        """Note a file of a source."""
        self._num_listed += 1
        row = (source, self._num_listed, file.full, file.size, file.changed, *file.place)
        self._base.execute("INSERT INTO listing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def listed(self, source: int) -> Iterator[Listed]:
        """Each file of a source, in the order of listing."""
        last = 0
        # In pages: rows may be written to other tables while this is read.
        while page := self._base.execute(
            "SELECT * FROM listing WHERE source = ? AND number > ? ORDER BY number LIMIT 1000", (source, last)
        ).fetchall():
            last = page[-1][1]
            for _, _, full, size, changed, *place in page:
                yield Listed(full, size, changed, Place(*place))
