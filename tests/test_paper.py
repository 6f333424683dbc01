"""Reported numbers: each has a section and a status, and prints as a reader wants it."""

from pathlib import Path

import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.paper import fact, facts, format_value


def test_every_fact_has_a_section_and_every_assumption_a_reason():
    # facts() itself raises on a missing field, an unknown status, or an assumption without a note
    assert len(facts()) > 10


def test_implied_products_of_the_papers_lsh_setting_agree():
    assert fact("fuzzy.bands").value * fact("fuzzy.rows").value == fact("fuzzy.num_hashes").value


def test_type_counts_of_the_paper_add_up():
    parts = [fact(f"collect.num_{kind}").value for kind in ("code", "data", "text")]
    assert sum(parts) == fact("collect.num_languages").value


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.75, "share", "75 %"),
        (0.0625, "share", "6.25 %"),
        (2048, "", "2,048"),
        (0.0003, "", "0.0003"),
        (8, "MB", "8 MB"),
        (True, "", "True"),
        (None, "", "-"),
    ],
)
def test_values_print_with_unit_and_separators(value, unit, shown):
    assert format_value(value, unit) == shown


def test_a_misspelt_key_names_near_ones():
    with pytest.raises(ConfigError, match=r"exact\.frac_removed"):
        fact("exact.frac_remved")


def test_every_assumption_is_listed_on_a_part_page():
    pages = Path(__file__).resolve().parents[1].glob("book/part-*.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assumed = {key for key, fact in facts().items() if fact.status == "assumed"}
    assert {key for key in assumed if f"{{paper}}`{key}`" not in text} == set()
