"""Figures of the transforms: drawn from small frames, with an alternative text that states the numbers."""

import io

import polars as pl

from opencoder_lib.plots import transform


def as_png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60, transparent=True, bbox_inches="tight")
    return buffer.getvalue()


def shares(*rows):
    names = ["language", "files", "with_notice", "frac_files", "low", "high", "cut_in_kB", "frac_bytes_cut"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_notices_have_a_bar_and_an_interval_a_language_and_the_papers_share_as_a_line():
    rows = shares(
        ("all code files", 1200, 240, 0.2, 0.18, 0.22, 80.0, 0.01), ("c", 1000, 240, 0.24, 0.2, 0.28, 80.0, 0.01),
        ("go", 200, 0, 0.0, 0.0, 0.02, 0.0, 0.0),
    )  # fmt: skip
    figure, alt = transform.notices(rows, 0.15)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["all code files (1,200)", "c (1,000)", "go (200)"]
    assert [bar.get_width() for bar in left.patches] == [0.2, 0.24, 0.0]
    assert left.lines[-1].get_xdata()[0] == 0.15
    assert [text.get_text() for text in right.texts] == ["80 (1.0%)", "80 (1.0%)", "0 (0.0%)"]
    assert "c 24.0% of 1,000 files, 80 kB; go 0.0% of 200 files, 0 kB. Paper: over 15%." in alt
    assert as_png(figure).startswith(b"\x89PNG")


def test_notices_draw_the_languages_with_most_files_only():
    figure, alt = transform.notices(
        shares(*[(f"l{at}", 9, 1, 0.1, 0.0, 0.4, 0.2, None) for at in range(8)]), 0.15, top=3
    )
    assert len(figure.axes[0].get_yticklabels()) == 4
    assert "l3" in alt
    assert "l4" not in alt
    assert [text.get_text() for text in figure.axes[1].texts] == ["<1 (0.0%)"] * 4
    as_png(figure)


def outcomes(*rows):
    return pl.DataFrame(rows, schema=["kind", "check", "places"], orient="row")


def test_personal_data_sets_what_was_replaced_beside_what_the_checks_refused():
    found = outcomes(("email", None, 90), ("email", "not_automatic", 10), ("ipv4", "public_ipv4", 30))
    where = pl.DataFrame({"language": ["c", "go"], "with_data": [1, 4], "places": [60, 30]})
    figure, alt = transform.personal_data(found, where)
    left, right = figure.axes
    assert [text.get_text() for text in left.texts] == ["90 of 100", "0 of 30"]
    assert [bar.get_width() for bar in left.patches] == [90, 0, 10, 30]
    assert [bar.get_x() for bar in left.patches] == [0, 0, 90, 0]
    assert [text.get_text() for text in right.texts] == ["60 in 1 file", "30 in 4 files"]
    assert alt.endswith("email 90 of 100; ipv4 0 of 30. Places replaced by language: c 60 in 1 file; go 30 in 4 files.")
    as_png(figure)


def test_personal_data_that_was_only_refused_leaves_the_right_side_empty():
    where = pl.DataFrame(schema={"language": pl.String, "with_data": pl.Int64, "places": pl.Int64})
    figure, alt = transform.personal_data(outcomes(("ipv4", "public_ipv4", 3)), where)
    assert alt.endswith("by language: none.")
    as_png(figure)


def rates(*rows):
    return pl.DataFrame(rows, schema=["group", "what", "hits", "count", "share", "low", "high"], orient="row")


def test_rates_have_one_point_for_each_measure_and_say_how_many():
    found = rates(
        ("<ip>", "planted and found", 4, 4, 1.0, 0.5, 1.0), ("<ip>", "labelled and found", 3, 4, 0.75, 0.3, 0.95),
        ("<key>", "found and labelled", 2, 2, 1.0, 0.34, 1.0),
    )  # fmt: skip
    figure, alt = transform.rates(found)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["<ip>", "<key>"]
    assert sorted(text.get_text() for text in axes.texts) == ["2 of 2", "3 of 4", "4 of 4"]
    planted, labelled, precise = (lines[0].get_xydata().tolist()[0] for lines in axes.containers)
    assert planted[0] == 1
    assert labelled[0] == 0.75
    assert round(planted[1]) == round(labelled[1]) == 0
    assert planted[1] < labelled[1] < 0.5 < precise[1]
    assert "<ip> labelled and found 3 of 4" in alt
    as_png(figure)


def test_an_interval_that_rounding_puts_beyond_its_share_is_still_drawn():
    most = ("<ip>", "planted and found", 4, 4, 1.0, 0.5, 0.9999999999999999)
    least = ("<ip>", "labelled and found", 0, 4, 0.0, 0.0000000000000001, 0.5)
    as_png(transform.rates(rates(most, least))[0])


def test_empty_frames_give_figures_that_say_so():
    assert transform.notices(shares(), 0.15)[1].startswith("No code file is left")
    assert transform.personal_data(outcomes(), outcomes())[1] == "Nothing looks like personal data."
    assert transform.rates(rates())[1] == "Nothing was planted or labelled."
