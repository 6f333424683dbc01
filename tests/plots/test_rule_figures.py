import polars as pl

from opencoder_lib.plots import rules


def test_rule_hits_orders_rules_and_says_what_it_shows():
    hits = pl.DataFrame({"rule": ["a.one", "b.two", "c.none"], "hits": [3, 9, 0], "exclusive": [3, 4, 0]})
    figure, alt = rules.rule_hits(hits)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b.two", "a.one"]
    assert alt == "Bar chart of files hit per rule, and by that rule alone. b.two 9, 4 alone; a.one 3, 3 alone."


PAIRS = pl.DataFrame(
    {
        "rule": ["b.two", "b.two", "a.one", "a.one"],
        "hits": [9, 9, 3, 3],
        "other": ["b.two", "a.one", "b.two", "a.one"],
        "both": [9, 3, 3, 3],
        "frac_both": [1.0, 1 / 3, 1.0, 1.0],
    }
)


def test_overlap_writes_the_per_cent_into_each_cell_and_leaves_the_diagonal_empty():
    figure, alt = rules.overlap(PAIRS)
    (axes,) = figure.axes
    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [((1, 0), "33"), ((0, 1), "100")]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b.two (9)", "a.one (3)"]
    assert "Largest: a.one in b.two, 100% of 3. 1 of the rules share" in alt


def test_overlap_of_fewer_than_two_rules_says_so():
    assert "no overlap to draw" in rules.overlap(PAIRS.filter(pl.col("rule") == pl.col("other")).head(1))[1]


def test_what_if_draws_shares_from_zero_and_marks_the_threshold():
    curve = pl.DataFrame(
        {"threshold": [0.1, 0.3], "files": [10, 10], "exclusive": [5, 1], "frac_files_hit": [0.8, 0.2]}
    )
    figure, alt = rules.what_if(curve, "a.one", 0.3, "frac_x")
    assert figure.axes[0].get_ylim()[0] == 0
    assert "from 80.0% at 0.1 to 20.0% at 0.3" in alt
    assert "threshold in force is 0.3" in alt


def test_distribution_counts_the_files_beyond_the_threshold():
    bins = pl.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "files": [7, 3], "hits": [0, 2]})
    _, alt = rules.distribution(bins, 0.6, "frac_x")
    assert "over 10 files; 2 lie beyond the threshold 0.6" in alt


def test_distributions_draw_one_panel_a_rule_and_both_ends_of_a_range():
    bins = pl.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "files": [7, 3], "hits": [0, 2]})
    both = pl.concat([bins.select(pl.lit(name).alias("rule"), pl.all()) for name in ("a.one", "b.two")])
    figure, alt = rules.distributions(both, {"a.one": 0.6, "b.two": (0.1, 0.7)}, columns=3)
    one, two, empty = figure.axes
    assert (one.get_title(), len(one.lines), two.get_title(), len(two.lines)) == ("a.one", 1, "b.two", 2)
    assert not empty.axison
    assert "a.one: 2 of 10 beyond 0.6; b.two: 2 of 10 beyond 0.1 and 0.7" in alt


CHANGES = pl.DataFrame(
    {
        "rule": ["a.one"] * 3 + ["b.two"] * 3 + ["c.none"] * 3,
        "change": ["off", "10 % looser", "10 % stricter"] * 3,
        "files_back": [3, 2, 0, 9, None, None, 0, 0, 0],
        "files_gone": [0, 0, 4, 0, None, None, 0, 0, 0],
    },
    schema_overrides={"change": pl.Enum(["off", "10 % looser", "10 % stricter"])},
)


def test_what_if_of_all_rules_draws_what_comes_back_to_the_right_and_what_goes_to_the_left():
    figure, alt = rules.what_if_all(CHANGES)
    (axes,) = figure.axes
    drawn = {line.get_label(): list(line.get_xdata()) for line in axes.lines[:3]}
    # b.two has the largest effect and comes first; it can only be switched off.
    assert drawn == {"off": [9, 3], "10 % looser": [2], "10 % stricter": [-4]}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b.two", "a.one"]
    assert alt.endswith("switched off: b.two 9; a.one 3.")


def test_what_if_without_any_effect_says_so():
    assert "No rule alone" in rules.what_if_all(CHANGES.filter(rule=pl.lit("c.none")))[1]


def test_perplexity_draws_every_scored_file_and_the_median_of_each_side():
    scored = pl.DataFrame({"side": ["kept", "kept", "kept", "gone"], "bits_per_byte": [1.0, 2.0, float("nan"), 0.5]})
    figure, alt = rules.perplexity(scored)
    points, median, *_ = figure.axes[0].lines
    assert list(points.get_xdata()) == [1.0, 2.0]
    assert set(median.get_xdata()) == {1.5}
    assert alt == (
        "Bits per byte of single files. kept: 2 files, 1.00 to 2.00, median 1.50; gone: 1 files, 0.50 to 0.50, "
        "median 0.50."
    )
    assert rules.perplexity(scored.filter(pl.col("bits_per_byte").is_nan()))[1] == "No file was scored."


def test_decisions_are_a_table_with_the_changed_cells_marked():
    counts = pl.DataFrame({"before": ["drop", "drop", "keep"], "after": ["drop", "keep", "keep"], "files": [5, 2, 90]})
    figure, alt = rules.decisions(counts)
    written = {text.get_position(): (text.get_text(), text.get_color()) for text in figure.axes[0].texts}
    assert written[0, 1] == ("2", "black")
    assert written[0, 0] == ("90", rules.GREY)
    assert written[1, 0] == ("0", rules.GREY)
    assert alt == "Table of decisions on 97 files under two rulebooks. Changed: drop to keep 2."


def test_surviving_sets_the_papers_share_beside_ours_where_there_is_one():
    composed = pl.DataFrame(
        {
            "language": ["python", "toml"],
            "bytes_before": [2_000_000, 1_000_000],
            "frac_bytes_surviving": [0.5, 0.25],
            "frac_reported": [0.55, None],
        }
    )
    figure, alt = rules.surviving(composed)
    assert figure.axes[0].get_xlim() == (0, 1)
    assert alt.endswith("python 50.0% (paper 55.0%); toml 25.0%.")
