"""How right the rules are: on our hand-labelled lines, and on planted files."""

import polars as pl

from opencoder_lib.corpora.sensitive import VALUES, plant_sensitive
from opencoder_lib.refine.pii import find_personal_data, redact_personal_data
from opencoder_lib.refine.pii.rules import load_pii_rules
from opencoder_lib.refine.pii.score import labelled_mistakes, labelled_score, labelled_snippets

SCORE = labelled_score()


def test_precision_on_the_labelled_lines_is_at_least_95_percent_and_so_is_recall():
    (row,) = SCORE.filter(pl.col("kind") == "all").iter_rows(named=True)
    assert row["labelled"] > 130
    assert row["precision"] >= 0.95
    assert row["recall"] >= 0.95


def test_the_labelled_lines_are_many_most_without_a_find_and_of_every_kind():
    snippets = list(labelled_snippets())
    assert len(snippets) > 400
    assert sum(not snippet.wanted for snippet in snippets) > 250
    kinds = {kind for snippet in snippets for *_, kind in snippet.wanted}
    assert kinds == {rule.kind for rule in load_pii_rules()}


def test_marks_and_joints_are_no_part_of_a_labelled_line():
    assert not any(sign in snippet.text for snippet in labelled_snippets() for sign in ("⟦", "⟧", "{+}"))


def test_the_columns_of_the_score_add_up():
    rows = SCORE.filter(pl.col("kind") != "all")
    assert (rows["labelled"] == rows["right"] + rows["other_kind"] + rows["missed"]).all()
    assert (rows["found"] == rows["right"] + rows["other_kind"] + rows["false_alarms"]).all()
    numbers = rows.select("labelled", "found", "right", "other_kind", "missed", "false_alarms").sum().row(0)
    assert SCORE.filter(pl.col("kind") == "all").row(0)[1:7] == numbers
    assert labelled_mistakes().height == sum(numbers[3:])


def test_everything_that_was_planted_is_found_and_nothing_else():
    for seed in (0, 1):
        files = plant_sensitive(seed)
        kinds = find_personal_data(files).group_by("doc_id").agg(found=pl.col("kind").sort())
        joined = files.join(kinds, on="doc_id", how="left")
        assert joined["found"].to_list() == joined["planted_kinds"].to_list()


def test_the_planted_files_hold_every_kind_and_near_misses_that_stay():
    files = plant_sensitive(0)
    assert files.height == 200
    planted = files["planted_kinds"].explode()
    assert set(planted) == set(VALUES) == {rule.kind for rule in load_pii_rules()}
    assert files["near_misses"].sum() == 600
    assert find_personal_data(redact_personal_data(files)).is_empty()
    assert set(files["path"].str.extract(r"(\.\w+)$")) == {".py", ".js", ".c", ".yaml", ".env", ".md"}


def test_the_same_seed_plants_the_same_files_and_another_others():
    assert plant_sensitive(3).equals(plant_sensitive(3))
    assert not plant_sensitive(3).equals(plant_sensitive(4))
