"""Other ways to fill a budget: who comes first, and what becomes of the mixture of repositories."""

import polars as pl
import pytest

from opencoder_lib.errors import ConfigError
from opencoder_lib.files import new_files, remaining
from opencoder_lib.refine.choices import HASH, WHOLE, compare_choices
from opencoder_lib.refine.sampling import downsample


def files_of(*rows: tuple[str, int, int | None]) -> pl.DataFrame:
    return new_files(
        {"doc_id": f"id{at}", "path": "a.c", "origin": "folder", "language": "c"}
        | {"repo": repo, "text": "x" * size, "stars": stars}
        for at, (repo, size, stars) in enumerate(rows)
    )


FILES = files_of(("many", 40, 5), ("many", 20, 5), ("few", 30, 9), ("few", 5, 9), ("none", 5, None))


def by_choice(files: pl.DataFrame, budget: int, num_keys: int = 5) -> dict[str, dict]:
    return {row["choice"]: row for row in compare_choices(files, "c", budget, num_keys).to_dicts()}


def test_each_order_fills_the_budget_from_its_own_end():
    found = by_choice(FILES, 40)
    assert (found["most stars first"]["files"], found["most stars first"]["repos"]) == (2, 1)
    assert (found["smallest first"]["files"], found["smallest first"]["n_bytes"]) == (3, 30)
    assert (found["largest first"]["files"], found["largest first"]["median_size_in_B"]) == (1, 40)
    assert (found["no cut"]["files"], found["no cut"]["frac_mixture_moved"]) == (5, 0)


def test_the_mixture_moved_is_half_the_sum_of_the_differences_of_shares():
    # Before: many 60, few 35, none 5 of 100 bytes; with most stars first only `few` is left.
    found = by_choice(FILES, 40)["most stars first"]
    assert found["frac_mixture_moved"] == pytest.approx((0.60 + 0.65 + 0.05) / 2)
    assert found["frac_bytes_in_largest_repo"] == 1


def test_the_hash_keeps_what_sampling_keeps_and_knows_its_range():
    files = files_of(*((f"repo{at % 4}", 10 + at % 7, at) for at in range(60)))
    row = by_choice(files, 300)[HASH]
    left = remaining(downsample(files, {"c": 300}))
    assert (row["files"], row["n_bytes"]) == (left.height, left["text"].str.len_bytes().sum())
    assert row["frac_mixture_moved_lowest"] <= row["frac_mixture_moved_highest"]
    assert by_choice(files, 300, num_keys=0)[HASH]["frac_mixture_moved_lowest"] is None


def test_whole_repositories_are_taken_one_after_the_other():
    files = files_of(*((f"repo{at % 6}", 10, None) for at in range(60)))
    assert by_choice(files, 250)[WHOLE]["repos"] == 3


def test_files_that_sampling_removed_are_in_the_comparison_and_planted_ones_are_not():
    planted = files_of(("other", 50, 1)).with_columns(
        doc_id=pl.lit("p"), origin=pl.lit("planted", FILES["origin"].dtype)
    )
    after = downsample(pl.concat([FILES, planted]), {"c": 40})
    assert by_choice(after, 40) == by_choice(FILES, 40)


def test_a_budget_no_file_fits_keeps_nothing_and_moves_nothing():
    row = by_choice(FILES, 1)["largest first"]
    assert (row["files"], row["frac_mixture_moved"]) == (0, None)


def test_a_language_without_a_byte_is_refused():
    with pytest.raises(ConfigError, match="no byte of 'java'"):
        compare_choices(FILES, "java", 10)
