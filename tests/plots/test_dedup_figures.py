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


def tried(*rows):
    return pl.DataFrame(rows, schema=["change", "split", "frac_files", "frac_bytes"], orient="row")


def test_sensitivity_has_a_panel_for_each_split_and_a_line_for_each_change():
    rows = [
        ("as it is", "16 x 128", 0.004, 0.003),
        ("as it is", "128 x 16", 0.09, 0.08),
        ("folded", "16 x 128", 0.005, 0.002),
        ("folded", "128 x 16", 0.11, 0.07),
    ]
    figure, alt = dedup.sensitivity(tried(*rows))
    strict, loose = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["16 bands x 128 rows", "128 bands x 16 rows"]
    assert [label.get_text() for label in strict.get_yticklabels()] == ["as it is", "folded"]
    drawn = {line.get_label(): line.get_xdata().tolist() for line in loose.lines if line.get_label().startswith("of")}
    assert drawn == {"of the files": [0.09, 0.11], "of the bytes": [0.08, 0.07]}
    carried = [line.get_xdata()[0] for line in strict.lines if line.get_linestyle() == ":"]
    assert carried == [0.004, 0.003]
    assert strict.get_xlim()[0] == loose.get_xlim()[0] == 0
    assert strict.yaxis_inverted(), "the setting itself belongs on top"
    assert "16 x 128: as it is 0.4 % and 0.3 %; folded 0.5 % and 0.2 %. 128 x 16: as it is 9 % and 8 %" in alt
    as_png(figure)


def test_sensitivity_of_a_corpus_from_which_nothing_goes():
    figure, alt = dedup.sensitivity(tried(("as it is", "16 x 128", 0.0, 0.0)))
    assert alt.endswith("16 x 128: as it is 0 % and 0 %.")
    as_png(figure)


def test_forks_are_drawn_below_what_there_was_and_above_one():
    rows = [
        (0.0, "file", 1.0, 0.5),
        (0.0, "chunk", 1.9, 0.95),
        (0.1, "file", 1.0, 0.625),
        (0.1, "chunk", 1.5, 0.9375),
    ]
    compared = pl.DataFrame(rows, schema=["frac_missing", "level", "times_tokens", "frac_tokens"], orient="row")
    figure, alt = dedup.forks(compared, ("file", "chunk"))
    axes = figure.axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(drawn["nothing removed"]) == [2.0, 1.6]
    assert list(drawn["file level"]) == [1.0, 1.0]
    assert list(drawn["chunk level"]) == [1.9, 1.5]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0 %", "10 %"]
    assert alt.endswith("file from 1.00 to 1.00; chunk from 1.90 to 1.50; all tokens from 2.00 to 1.60.")
    as_png(figure)
