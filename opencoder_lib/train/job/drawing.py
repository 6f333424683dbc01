"""Which documents of a corpus are held out: a rule that is found once and then asked row by row."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from opencoder_lib import seeds
from opencoder_lib.train.job.sample import text_hash
from opencoder_lib.train.job.texts import Row


@dataclass(frozen=True)
class Drawing:
    """Held out is what has a hash below `below`: whole repositories, or single texts where there are none to draw from.

    note: what a user must know where the share asked for could not be drawn from repositories.
    """

    seed: int
    below: float
    of_repositories: bool = True
    note: str = ""

    def holds_out(self, row: Row) -> bool:
        """Whether a document is measured and not trained on."""
        name = row.repo if self.of_repositories else text_hash(row.text).hex()
        return name is not None and _place(self.seed, name) < self.below

    def key(self) -> dict[str, Any]:
        """What decides, for the names of what is made with it."""
        return {name: value for name, value in asdict(self).items() if name != "note"}


def find_drawing(rows: Iterable[Row], frac: float, seed: int) -> Drawing:
    """`frac` of the repositories by hash of the name: files of one project share names and habits.

    Reads rows until one repository is in and one is out. Where the share takes none or all of them, the one with the
    lowest hash is held out; with fewer than two repositories there is nothing to draw, and single texts are held out.
    """
    places: dict[str, float] = {}
    sides = set()
    for row in rows:
        if row.repo is None or row.repo in places:
            continue
        places[row.repo] = _place(seed, row.repo)
        sides.add(places[row.repo] < frac)
        if len(sides) == 2:
            return Drawing(seed, frac)
    if len(places) < 2:
        note = (
            f"the corpus names {len(places) or 'no'} repositor{'y' if len(places) == 1 else 'ies'}, so "
            f"{frac:.3g} of its single texts are held out; texts like them are trained on"
        )
        return Drawing(seed, frac, of_repositories=False, note=note)
    first, second = sorted(places, key=places.__getitem__)[:2]
    note = f"{frac:.3g} of {len(places)} repositories is none or all of them by hash; {first!r} alone is held out"
    return Drawing(seed, places[second], note=note)


def _place(seed: int, name: str) -> float:
    return seeds.hash_share(f"held-out {seed}", name)
