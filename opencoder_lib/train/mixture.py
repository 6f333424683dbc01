"""Several sources read as one, each with a fixed share of the windows. Axes: B windows, S sources.

Which source a place of the run reads is decided by its number alone: no coin is tossed, so every stretch of the run
holds the shares as closely as whole windows allow, where a draw would be off by the square root of its length.
"""

import math
from collections.abc import Mapping
from hashlib import sha256

import numpy as np

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.windows import Source, as_source, num_windows


class Mixture:
    """A source made of named sources, with a weight (share of windows, any unit) for each.

    A mixture may take over in the middle of a run, as in annealing: `start` is the place of its first window, `already`
    the windows that the run has read of a source before it, which it does not read again before all others were. That
    holds because a source is read in the order in which it would be read alone.
    """

    def __init__(
        self,
        sources: Mapping[str, "np.ndarray | Source"],
        weights: Mapping[str, float],
        start: int = 0,
        already: Mapping[str, int] | None = None,
    ):
        if not sources or set(sources) != set(weights):
            raise ConfigError(
                f"A mixture needs one weight for each source: sources {sorted(sources)}, weights {sorted(weights)}."
            )
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(f"The weight of source {name!r} is {weight}; it must be positive. Or leave it out.")
        # `already` may name a source that is not mixed in: what was read of it is of no matter here.
        if start < 0 or min((already or {}).values(), default=0) < 0:
            raise ConfigError(f"start={start} and already={already} count windows; none may be negative.")
        total = math.fsum(weights.values())
        self.sources = {name: as_source(source) for name, source in sources.items()}
        self.weights = {name: weights[name] / total for name in self.sources}
        self.start, self.already = start, dict(already or {})
        self._weights_S = np.array(list(self.weights.values()))
        self._already_S = np.array([self.already.get(name, 0) for name in self.sources], np.int64)

    @property
    def num_tokens(self) -> int:
        """Tokens of all sources together."""
        return sum(source.num_tokens for source in self.sources.values())

    @property
    def fingerprint(self) -> str:
        """A hash of names, weights and sources in their order, and of where it takes over."""
        parts = [
            f"{name}\x1f{self.weights[name]!r}\x1f{self.already.get(name, 0)}\x1f{source.fingerprint}"
            for name, source in self.sources.items()
        ]
        return sha256("\x1e".join([str(self.start), *parts]).encode()).hexdigest()

    def windows(self, places: np.ndarray, seed: int, length: int) -> np.ndarray:
        """The windows at these places of a run: (B, length + 1) int64.

        Raises ConfigError with the name of a source that does not fill one window.
        """
        source_B, number_B = self.assign(places)
        found = np.empty((len(source_B), length + 1), np.int64)
        for index, (name, source) in enumerate(self.sources.items()):
            self._windows_of(name, length)
            here_B = source_B == index
            if here_B.any():
                found[here_B] = source.windows(number_B[here_B], seed, length)
        return found

    def assign(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which source each place reads, and which window of that source, counted from 0: (B,) and (B,) int64.

        Window k of a source of weight w is due at time (k + 1/2) / w, and windows are read as they fall due. After
        any number of places a source is therefore at most 1/2 + w * S / 2 windows from its share.
        """
        places_B = np.asarray(places, np.int64) - self.start
        if places_B.size and places_B.min() < 0:
            raise ConfigError(f"Place {places_B.min() + self.start} is before this mixture's first, {self.start}.")
        due_BS = self._due(places_B)
        source_B = self._next(due_BS)
        return source_B, (due_BS + self._already_S)[np.arange(len(source_B)), source_B]

    def counts(self, num_places: int) -> dict[str, int]:
        """Windows that each source gives to the first `num_places` places of the mixture."""
        return dict(zip(self.sources, self._due(np.array([num_places]))[0].tolist(), strict=True))

    def _due(self, places_B: np.ndarray) -> np.ndarray:
        """Windows of each source that were read before each place: (B, S), rows sum to the place."""
        weights_S = self._weights_S
        # At time t between t - S/2 and t + S/2 windows have fallen due: start before the place, then walk to it.
        time_B1 = np.maximum(places_B - len(weights_S) / 2 - 1, 0)[:, None]
        due_BS = np.floor(time_B1 * weights_S + 0.5).astype(np.int64)
        rows_B = np.arange(len(places_B))
        while (behind_B := due_BS.sum(1) < places_B).any():
            due_BS[rows_B, self._next(due_BS)] += behind_B
        return due_BS

    def _next(self, due_BS: np.ndarray) -> np.ndarray:
        """The source whose next window falls due first, the first named of equals: (B,)."""
        return ((due_BS + 0.5) / self._weights_S).argmin(1)

    def shares(self, num_places: int) -> dict[str, float]:
        """Share of the first `num_places` windows of this mixture that each source gives."""
        return {name: count / num_places for name, count in self.counts(num_places).items()}

    def passes(self, num_places: int, length: int) -> dict[str, float]:
        """How often the first `num_places` windows of this mixture read each source; above 1 it is repeated."""
        return {name: count / self._windows_of(name, length) for name, count in self.counts(num_places).items()}

    def _windows_of(self, name: str, length: int) -> int:
        try:
            return num_windows(self.sources[name], length)
        except ConfigError as error:
            raise ConfigError(f"Source {name!r} of the mixture: {error}") from None
