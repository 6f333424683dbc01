"""Figures of deduplication: drawn from small frames, with an alternative text that states the numbers."""

import io

import polars as pl

from opencoder_lib.plots import dedup
from opencoder_lib.refine.detection import detection_curve
from opencoder_lib.refine.minhash import MinHash


def as_png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60, transparent=True, bbox_inches="tight")
    return buffer.getvalue()


def test_group_sizes_say_how_many_groups_there_are():
    figure, alt = dedup.group_sizes(pl.DataFrame({"files": [2, 2, 3, 40]}))
    assert alt.endswith("4 texts occur more than once, 2 of them exactly twice, the most frequent one 40 times.")
    assert as_png(figure).startswith(b"\x89PNG")
    axes = figure.axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[2, 2], [3, 1], [40, 1]]


def test_one_group_of_two_is_drawn_too():
    figure, alt = dedup.group_sizes(pl.DataFrame({"files": [2]}), "fuzzy")
    assert "1 texts occur more than once, 1 of them exactly twice" in alt
    as_png(figure)


def pairs(*rows):
    return pl.DataFrame(rows, schema=["repo", "other", "contents", "n_bytes", "vendored"], orient="row")


def test_shared_contents_have_a_cell_for_each_pair_and_a_column_for_copies_inside():
    figure, alt = dedup.shared_contents(pairs(("pip", "rich", 17, 190_000, 17), ("django", "django", 12, 3_000, 0)))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["rich", "(itself)"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["pip", "django"]
    assert sorted(text.get_text() for text in axes.texts) == ["12", "17"]
    assert "pip and rich: 17 files, 0.19 MB" in alt
    as_png(figure)


def test_shared_contents_without_any_pair_of_packages_say_so():
    figure, alt = dedup.shared_contents(pairs(("django", "django", 1, 5, 0)))
    assert "No two different packages share a file." in alt
    as_png(figure)


def test_s_curve_draws_each_setting_and_names_its_threshold():
    settings = [MinHash(), MinHash(bands=128, rows=16)]
    curves = pl.concat([detection_curve(setting, 0.5) for setting in settings])
    points = [(16, 128, 0.976, 0.5, 0.4, 0.6), (128, 16, 0.72, 0.5, 0.4, 0.6)]
    names = ["bands", "rows", "jaccard", "frac_detected", "low", "high"]
    measured = pl.DataFrame(points, schema=names, orient="row")
    planted = pl.DataFrame({"jaccard": [0.9, 0.99], "caught": [False, True]})
    figure, alt = dedup.s_curve(curves, measured, planted)
    assert "16 bands of 128 rows have their threshold at 0.979" in alt
    assert "128 bands of 16 rows have their threshold at 0.738" in alt
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["threshold 0.738", "threshold 0.979"]
    as_png(figure)


def test_s_curve_of_one_setting_without_planted_files():
    setting = MinHash(num_hashes=64, bands=8, rows=8)
    measured = pl.DataFrame(
        {"bands": [8], "rows": [8], "jaccard": [0.8], "frac_detected": [1.0], "low": [0.9], "high": [1.0]}
    )
    as_png(dedup.s_curve(detection_curve(setting), measured)[0])


def test_a_corpus_without_duplicates_gives_a_figure_that_says_so():
    groups = pl.DataFrame(schema={"files": pl.Int64})
    assert dedup.group_sizes(groups)[1] == "No text occurs more than once."
    assert dedup.shared_contents(pl.DataFrame(schema={"repo": pl.String}))[1].startswith("No two repositories")
