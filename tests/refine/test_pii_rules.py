"""Every rule finds its examples and leaves its near misses; what is wrong with a file of rules is said."""

from pathlib import Path

import polars as pl
import pytest

from opencoder_lib.files import new_files
from opencoder_lib.refine.pii import find_personal_data, redact_personal_data
from opencoder_lib.refine.pii.rules import PiiRuleError, load_pii_rules

RULES = load_pii_rules()
REPLACED = [(rule.id, rule.example_language, example) for rule in RULES for example in rule.replaces]
KEPT = [(rule.id, rule.example_language, text) for rule in RULES for text in rule.keeps]
GOOD = """
[placeholder]
badge = "<badge>"

[words]
top_level = "org"

[[rule]]
id = "badge"
kind = "badge"
pattern = 'badge (?P<value>[0-9]+)'
hints = ["badge"]
why = "Numbers of badges."
replaces = [["badge 12", "badge <badge>"]]
keeps = ["badge of honour"]
"""


def redacted(text: str, language: str | None = None) -> str:
    files = new_files([{"path": "file", "origin": "folder", "text": text, "language": language}])
    return redact_personal_data(files)["text"][0]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("rule", "language", "example"), REPLACED)
def test_an_example_is_redacted_as_it_says(rule, language, example):
    assert redacted(example.before, language) == example.after


@pytest.mark.parametrize(("rule", "language", "text"), KEPT)
def test_a_near_miss_is_left_alone(rule, language, text):
    assert redacted(text, language) == text


@pytest.mark.parametrize("rule", list(RULES), ids=lambda rule: rule.id)
def test_an_example_is_found_by_the_kind_of_its_rule(rule):
    for example in rule.replaces:
        files = new_files(
            [{"path": "x", "origin": "folder", "text": example.before, "language": rule.example_language}]
        )
        assert find_personal_data(files)["kind"].to_list() == [rule.kind]


def test_every_kind_has_a_placeholder_in_angle_brackets_and_every_placeholder_a_rule():
    assert {rule.kind for rule in RULES} == set(RULES.placeholders)
    assert all(
        text[0] + text[-1] == "<>" and text[1:-1].replace("-", "").isalpha() for text in RULES.placeholders.values()
    )


def test_no_placeholder_is_personal_data():
    text = "\n".join(f'password = "{text}"\nhost: {text}' for text in RULES.placeholders.values())
    assert redacted(text, "yaml") == text


def test_rules_of_a_users_own_are_used(tmp_path):
    files = new_files([{"path": "x", "origin": "folder", "text": "badge 4711, mira@lamp-works.de"}])
    mine = load_pii_rules(written(tmp_path, GOOD))
    assert redact_personal_data(files, mine)["text"].to_list() == ["badge <badge>, mira@lamp-works.de"]


def test_what_holds_a_placeholder_is_not_found_again(tmp_path):
    files = new_files([{"path": "x", "origin": "folder", "text": "badge 47-11!"}])
    greedy = load_pii_rules(written(tmp_path, GOOD.replace("[0-9]+", r"\S+").replace("badge of honour", "a badge")))
    once = redact_personal_data(files, greedy)
    assert once["text"].to_list() == ["badge <badge>"]
    assert find_personal_data(once, greedy).is_empty()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'hints = ["badge"]',
            'checks = ["plausible_domian"]',
            "unknown check 'plausible_domian'. Did you mean plausible_domain",
        ),
        ("[0-9]+)", r"[0-9]+)(?=x)", "RE2 refuses its pattern .* use a check"),
        ("[0-9]+)", r"[0-9]+) \1", "RE2 refuses its pattern"),
        ("?P<value>", "", "no group that is replaced. Name one"),
        ("badge (?P", "{{bagde}} (?P", "unknown part 'bagde'"),
        ('replaces = [["badge 12", "badge <badge>"]]', "", "lacks 'replaces'. Give a text it finds"),
        ('keeps = ["badge of honour"]', "", "lacks 'keeps'. Give a near miss"),
        ('[["badge 12", "badge <badge>"]]', '["badge 12"]', "an entry of 'replaces' is"),
        ('kind = "badge"', 'kind = "bagde"', "no placeholder for the kind 'bagde'. Did you mean badge"),
        ("why =", "reason =", "unknown key 'reason'"),
        ('hints = ["badge"]', 'hints = "badge"', "'hints' must be a list of texts"),
        ('hints = ["badge"]', 'hint_pattern = "(badge"', "'hint_pattern' is no expression for Rust's regex"),
        ('hints = ["badge"]', 'hints = ["badge"]\nhint_pattern = "badge"', "both 'hints' and 'hint_pattern'"),
        ("[words]", "[word]", "unknown key 'word'. Did you mean words"),
        ("[placeholder]", "[placeholders]", "unknown key 'placeholders'"),
        ('badge = "<badge>"', "badge = <badge>", "is not TOML"),
    ],
)
def test_what_is_wrong_with_a_file_of_rules_is_said(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(PiiRuleError, match=said) as caught:
        load_pii_rules(written(tmp_path, GOOD.replace(old, new, 1)))
    assert "mine.toml" in str(caught.value)


def test_an_id_used_twice_is_refused(tmp_path):
    with pytest.raises(PiiRuleError, match="rule badge: the id is used twice"):
        load_pii_rules(written(tmp_path, GOOD + GOOD.partition("[words]")[2].replace('top_level = "org"', "")))


def test_a_file_that_is_not_there_or_empty_is_refused(tmp_path):
    with pytest.raises(PiiRuleError, match=r"none\.toml: cannot be read"):
        load_pii_rules(tmp_path / "none.toml")
    with pytest.raises(PiiRuleError, match=r"no \[\[rule\]\]"):
        load_pii_rules(written(tmp_path, '[placeholder]\nbadge = "<badge>"\n'))


def test_a_rule_for_some_languages_leaves_the_others_alone():
    rows = [{"path": path, "origin": "folder", "text": "PASSWORD=q9-lamp-44\n"} for path in (".env", "a.c", "b.ini")]
    texts = redact_personal_data(new_files(rows))["text"]
    assert texts.to_list() == ["PASSWORD=<password>\n", "PASSWORD=q9-lamp-44\n", "PASSWORD=<password>\n"]
    # The language in the frame counts, not the path.
    judged = new_files(rows).with_columns(language=pl.lit("c"))
    assert redact_personal_data(judged)["text"].to_list() == ["PASSWORD=q9-lamp-44\n"] * 3
