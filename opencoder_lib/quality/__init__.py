"""The quality filter: signals measured once, rules as data, decisions that name their reason.

signals = compute_signals(files)
rules = load_rules("released")
files = apply_rules(files, signals, rules)

To see what the rules do: matrix = hit_matrix(files, signals, rules), then the modules audit, tuning and compare.
"""

from opencoder_lib.quality.apply import apply_rules, decide, decisions_of
from opencoder_lib.quality.compute import compute_signals, null_report
from opencoder_lib.quality.hits import hit_matrix
from opencoder_lib.quality.loader import load_rules
from opencoder_lib.quality.registry import SIGNALS
from opencoder_lib.quality.rules import Rulebook

__all__ = [
    "SIGNALS",
    "Rulebook",
    "apply_rules",
    "compute_signals",
    "decide",
    "decisions_of",
    "hit_matrix",
    "load_rules",
    "null_report",
]
