import csv
from pathlib import Path

import pytest

from opencoder_lib.quality import load_rules
from opencoder_lib.quality.examples import check_examples
from opencoder_lib.quality.rules import SETS

RULES = load_rules("released")
EXAMPLES = {(row["rule"], row["kind"]): row for row in check_examples(RULES).iter_rows(named=True)}


def released_thresholds() -> dict[tuple[str, str], str]:
    with open(Path(__file__).with_name("released_thresholds.csv"), encoding="utf-8") as stream:
        return {(row["doc_type"], row["signal"]): row["drop_if"] for row in csv.DictReader(stream) if row["drop_if"]}


def as_released(rule, threshold) -> str:
    """A threshold in the notation of the release's table."""
    value = threshold.value
    text = {
        "drop_above": lambda: f">{value:.10g}",
        "drop_below": lambda: f"<{value:.10g}",
        "drop_outside": lambda: f"<{value[0]:.10g}|>{value[1]:.10g}",
        "drop_if": lambda: f"=={value:.10g}",
    }[threshold.kind]()
    return text + (f"@{rule.drop_share:g}" if rule.drop_share < 1 else "")


@pytest.mark.parametrize("rule", list(RULES), ids=lambda rule: rule.id)
def test_rule_drops_its_document_and_the_whole_rulebook_keeps_the_near_miss(rule):
    if rule.drops is None:
        assert len(rule.never_fires) > 20
    else:
        assert rule.id in EXAMPLES[rule.id, "drops"]["fired"]
    assert EXAMPLES[rule.id, "keeps"]["fired"] == []
    assert EXAMPLES[rule.id, "keeps"]["decision"] == "keep"


def test_every_threshold_is_that_of_the_release_in_every_set():
    released = {key: text.replace("True", "1").replace("False", "0") for key, text in released_thresholds().items()}
    pairs = [(rule, name, threshold) for rule in RULES for name, threshold in rule.thresholds.items()]
    assert {(name, rule.official_in(name)): as_released(rule, threshold) for rule, name, threshold in pairs} == released
    assert len(pairs) == len(released)


def test_there_are_86_rules_in_all_450_released_pairs():
    assert len(RULES) == 86
    assert RULES.num_pairs == 450
    assert len(released_thresholds()) == 450
    assert {name for rule in RULES for name in rule.live_sets} == set(SETS)


def test_every_rule_says_why_in_a_sentence():
    assert all(rule.why.endswith(".") and len(rule.why) > 20 for rule in RULES)
