"""The quality filter: signals measured once, rules as data, decisions that name their reason.

signals = compute_signals(files)
rules = load_rules("released")
files = apply_rules(files, signals, rules)
"""

from opencoder_lib.quality.apply import apply_rules, decide
from opencoder_lib.quality.compute import compute_signals, null_report
from opencoder_lib.quality.loader import load_rules
from opencoder_lib.quality.rules import Rulebook

__all__ = ["Rulebook", "apply_rules", "compute_signals", "decide", "load_rules", "null_report"]
