"""Which rules hold for which files: computed once from stored signals; decisions and audit follow from it.

Axes: N files, R rules in the order of the rulebook.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from opencoder_lib.errors import SchemaError
from opencoder_lib.languages import with_languages
from opencoder_lib.quality.rules import SETS, Rule, Rulebook, Threshold, rule_set_expr
from opencoder_lib.seeds import hash_share

ABOUT = ("category", "language", "n_bytes", "origin", "repo", "truth")


def judged(files: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """`signals` with the columns rule_set, category, language, n_bytes, origin, repo and truth of each file."""
    about = files.join(signals.select("doc_id"), on="doc_id", how="semi")
    if about.select("language", "category", "natural_language").null_count().sum_horizontal().item():
        about = with_languages(about)
    about = about.select("doc_id", *ABOUT, rule_set=rule_set_expr())
    joined = signals.join(about, on="doc_id", how="left", maintain_order="left")
    if strangers := joined["category"].null_count():
        raise SchemaError(
            f"{strangers} rows of the signals belong to no file of the frame. Compute them from these files."
        )
    return joined


def signal_values(joined: pl.DataFrame, name: str) -> np.ndarray:
    """One column of signals as floats, NaN for null. Raises SchemaError if it is missing."""
    if name not in joined.columns:
        raise SchemaError(f"The signals have no column {name!r}, which a rule needs. Compute them again.")
    return joined[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


@dataclass(frozen=True)
class HitMatrix:
    """Every rule beside every file. joined: the frame of `judged`; holds_NR: the rule holds; acts_NR: it holds and
    wins its coin, so that it alone would remove the file."""

    joined: pl.DataFrame
    rules: Rulebook
    holds_NR: np.ndarray
    acts_NR: np.ndarray

    @cached_property
    def place(self) -> dict[str, int]:
        """The column of each rule id."""
        return {rule.id: place for place, rule in enumerate(self.rules)}

    @cached_property
    def n_bytes_N(self) -> np.ndarray:
        """Bytes of each file."""
        return self.joined["n_bytes"].fill_null(0).to_numpy()

    @cached_property
    def rows_of_set(self) -> dict[str, np.ndarray]:
        """The rows of each set of files."""
        sets = self.joined["rule_set"]
        return {name: (sets == name).fill_null(False).arg_true().to_numpy() for name in SETS}

    @cached_property
    def real(self) -> "HitMatrix":
        """The same for files that were found, not planted: headline numbers count these only."""
        return self.of_files((self.joined["origin"] != "planted").to_numpy())

    def of_files(self, mask_N: np.ndarray) -> "HitMatrix":
        """The same for some of the files."""
        return HitMatrix(self.joined.filter(mask_N), self.rules, self.holds_NR[mask_N], self.acts_NR[mask_N])

    def values(self, rule: Rule) -> np.ndarray:
        """The rule's signal for every file, NaN for null."""
        return signal_values(self.joined, rule.signal)

    def rows_judged_by(self, rule: Rule) -> np.ndarray:
        """The rows of the rule's live sets, set after set."""
        return np.concatenate([self.rows_of_set[name] for name in rule.live_sets])

    def holds_at(self, rule: Rule, moved: dict[str, Threshold]) -> np.ndarray:
        """(N,) whether the rule would hold with the threshold of each set as in `moved`."""
        return _holds(self.values(rule), self.rows_of_set, moved)

    def acts(self, rule: Rule, holds_N: np.ndarray) -> np.ndarray:
        """(N,) where the rule would remove the file if it held as in `holds_N`: everywhere, or where its coin falls."""
        if rule.drop_share == 1:
            return holds_N
        acts_N, rows = np.zeros(len(holds_N), bool), np.flatnonzero(holds_N)
        acts_N[rows] = [hash_share(rule.id, doc_id) < rule.drop_share for doc_id in self.joined["doc_id"].gather(rows)]
        return acts_N

    def others_act(self, rule: Rule) -> np.ndarray:
        """(N,) whether another rule removes the file."""
        place = self.place[rule.id]
        return self.acts_NR.sum(1) - self.acts_NR[:, place] > 0


def hit_matrix(files: pl.DataFrame, signals: pl.DataFrame, rules: Rulebook) -> HitMatrix:
    """Every rule beside every file that has signals. No text is read.

    Raises SchemaError if `signals` lacks a column that a rule needs, or has a file that `files` does not.
    """
    joined = judged(files, signals)
    empty_NR = np.zeros((joined.height, len(rules)), bool, order="F")
    found = HitMatrix(joined, rules, empty_NR, empty_NR.copy(order="F"))
    for place, rule in enumerate(rules):
        found.holds_NR[:, place] = found.holds_at(rule, rule.thresholds)
        found.acts_NR[:, place] = found.acts(rule, found.holds_NR[:, place])
    return found


def _holds(values_N: np.ndarray, rows_of_set: dict[str, np.ndarray], thresholds: dict[str, Threshold]) -> np.ndarray:
    holds_N = np.zeros(len(values_N), bool)
    for name, threshold in thresholds.items():
        rows = rows_of_set[name]
        holds_N[rows] = threshold.fires(values_N[rows])
    return holds_N
