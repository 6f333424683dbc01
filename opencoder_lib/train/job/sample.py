"""A sample of documents that does not depend on the order in which they come, in bounded memory."""

import heapq
from hashlib import sha256

from opencoder_lib import seeds


class Sample:
    """The texts with the lowest hashes, of at most max_bytes in all and at least one; the order of adding is no matter.

    Samples of parts, added up, give the sample of the whole.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes, self._bytes = max_bytes, 0
        self._highest: list[tuple[float, str]] = []

    def add(self, text: str) -> None:
        """Take a text up if its hash is low enough and it has any bytes."""
        size = num_bytes(text)
        if not size:
            return
        heapq.heappush(self._highest, (-seeds.hash_share("held-out sample", text_hash(text).hex()), text))
        self._bytes += size
        while len(self._highest) > 1 and self._bytes > self.max_bytes:
            self._bytes -= len(heapq.heappop(self._highest)[1].encode())

    def texts(self) -> list[str]:
        """The texts, lowest hash first."""
        return [text for _, text in sorted(self._highest, reverse=True)]


def num_bytes(text: str) -> int:
    """Bytes of a text in UTF-8; 0 for one that has no such form (half of a surrogate pair)."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return 0


def text_hash(text: str) -> bytes:
    """16 bytes that stand for a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
