"""Which documents are held out: repositories by hash, one at least, and single texts where there are none."""

from itertools import islice

import pytest

from opencoder_lib.seeds import hash_share
from opencoder_lib.train.job.drawing import find_drawing
from opencoder_lib.train.job.texts import Row

NAMES = [f"project-{number}" for number in range(12)]
# The definition, by another route: where each name falls between 0 and 1.
PLACES = {name: hash_share("held-out 0", name) for name in NAMES}
LOWEST = min(NAMES, key=PLACES.__getitem__)


def rows(names, each=3):
    return [Row(f"text {number} of {name}", name) for number in range(each) for name in names]


def held_out(drawing, some):
    return {row.repo for row in some if drawing.holds_out(row)}


@pytest.mark.parametrize("frac", [0.3, 0.5, 0.8])
def test_repositories_below_the_share_are_held_out_whole(frac):
    some = rows(NAMES)
    drawing = find_drawing(some, frac, 0)
    assert held_out(drawing, some) == {name for name in NAMES if PLACES[name] < frac}
    assert drawing.note == ""


def test_no_more_is_read_than_tells_that_the_share_can_be_drawn():
    inside, outside = LOWEST, max(NAMES, key=PLACES.__getitem__)
    frac = (PLACES[inside] + PLACES[outside]) / 2
    stream = iter([Row("a", outside), Row("b", outside), Row("c", inside), Row("d", "never read")])
    find_drawing(stream, frac, 0)
    assert [row.text for row in islice(stream, 2)] == ["d"]


@pytest.mark.parametrize("frac", [1e-9, 1 - 1e-9])
def test_a_share_that_takes_none_or_all_of_few_repositories_holds_out_one(frac):
    some = rows(NAMES)
    drawing = find_drawing(some, frac, 0)
    assert held_out(drawing, some) == {LOWEST}
    assert f"of 12 repositories is none or all of them by hash; {LOWEST!r} alone" in drawing.note


@pytest.mark.parametrize(("name", "told"), [(None, "names no repositories"), ("alone", "names 1 repository,")])
def test_without_repositories_to_draw_from_single_texts_are_held_out(name, told):
    some = [Row(f"text {number}", name) for number in range(1_000)]
    drawing = find_drawing(some, 0.2, 0)
    assert told in drawing.note
    # 200 of 1,000, give or take four standard deviations of 12.6.
    assert 150 < sum(map(drawing.holds_out, some)) < 250


def test_rows_without_a_repository_are_trained_on_where_others_have_one():
    some = [*rows(NAMES), Row("nobody's", None)]
    assert not find_drawing(some, 0.5, 0).holds_out(some[-1])


def test_another_rule_is_another_name_for_what_is_made_with_it():
    few, many = find_drawing(rows(NAMES[:1]), 0.5, 0), find_drawing(rows(NAMES), 0.5, 0)
    assert few.key() != many.key()
    assert find_drawing(rows(NAMES), 0.5, 1).key() != many.key()
