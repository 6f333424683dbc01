import math

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA

from opencoder_lib.embed import project
from opencoder_lib.errors import ConfigError, SchemaError
from opencoder_lib.files import new_files


def files_of(*rows):
    return new_files([{"origin": "installed", "language": "python", **row} for row in rows])


def test_the_first_two_components_are_those_of_a_singular_value_decomposition_up_to_sign():
    vectors_NH = np.random.default_rng(0).normal(size=(40, 7)) @ np.diag([5, 3, 1, 1, 1, 0.5, 0.1])
    centred = vectors_NH - vectors_NH.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    pca = PCA(2).fit(vectors_NH)
    by_svd = left[:, :2] * values[:2]
    np.testing.assert_allclose(np.abs(pca.transform(vectors_NH)), np.abs(by_svd), atol=1e-9)
    np.testing.assert_allclose(pca.explained_variance_ratio_, (values**2 / (values**2).sum())[:2])


def test_distance_is_one_for_a_point_one_standard_deviation_out_along_either_axis():
    points = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1], [0, 0]])  # variances 2 and 0.5 with n - 1
    by_hand = [2 / math.sqrt(2), 2 / math.sqrt(2), 1 / math.sqrt(0.5), 1 / math.sqrt(0.5), 0]
    np.testing.assert_allclose(project.distances(points), by_hand, atol=1e-12)


def test_distance_does_not_change_when_an_axis_is_stretched_or_turned():
    points = np.random.default_rng(1).normal(size=(50, 2))
    stretched = points @ np.array([[3.0, 1.0], [-0.5, 2.0]]) + 7
    np.testing.assert_allclose(project.distances(stretched), project.distances(points))


def test_squared_deviations_average_to_the_total_variance_of_each_group():
    vectors = np.random.default_rng(2).normal(size=(30, 5)).astype(np.float32)
    vectors[20:] += 9
    groups = pl.Series(["raw"] * 20 + ["refined"] * 10)
    found = project.squared_deviations(vectors, groups)
    assert found[:20].mean() == pytest.approx(vectors[:20].var(axis=0).sum(), rel=1e-5)
    assert found[20:].mean() == pytest.approx(vectors[20:].var(axis=0).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("# Copyright\n# All rights reserved.\n# More of the same.\nx = 1\n", "comments only"),
        ('"""A module that is only\na docstring.\n"""\n', "comments only"),
        ("table = [\n" + "    0x1f, 0x2e, 0x3d, 0x4c, 17, 255,\n" * 20 + "]\n", "hexadecimal or numeric data"),
        ("key = 'deadbeefdeadbeefdeadbeefdeadbeef'\n" * 12, "hexadecimal or numeric data"),
        ("from .core import run\n", "very short"),
        ("def area(width, height):\n    return width * height\n" * 5, "other"),
        ("\n\n" + "x = call()\n\n" * 10, "other"),  # ten lines are not blank
    ],
)
def test_kinds_are_decided_by_the_text(text, kind):
    assert project.with_kinds(files_of({"path": "a.py", "text": text}))["kind"].to_list() == [kind]


def test_a_hash_is_no_comment_in_c():
    text = "#include <stdio.h>\n#define N 3\n" * 10
    frame = new_files([{"path": "a.h", "origin": "installed", "language": "c", "text": text}])
    assert project.with_kinds(frame)["frac_comments"].to_list() == [0]


def test_measurements_by_hand():
    row = project.with_kinds(files_of({"path": "a.py", "text": "# ab\nx = 12\n\n"})).row(0, named=True)
    assert row["frac_comments"] == pytest.approx(3 / 7)  # '#ab' of '#abx=12'
    assert row["frac_hex"] == pytest.approx(2 / 7)  # '12'
    assert row["num_code_lines"] == 2


def sample_frame():
    rows = [{"path": f"{i}.py", "repo": f"r{i % 3}", "text": f"x = {i}\n"} for i in range(40)]
    rows += [{"path": "blank.py", "repo": "r0", "text": " \n"}, {"path": "a.js", "text": "x", "language": "javascript"}]
    files = files_of(*rows)
    reasons = ["filter.code.short" if i < 10 else "preprocess.binary" if i < 20 else None for i in range(files.height)]
    return files.with_columns(removed_by=pl.Series(reasons, dtype=pl.String))


def test_raw_is_what_preprocessing_let_through_and_refined_what_remains_without_blank_files():
    sample = project.sample_corpora(sample_frame(), num_files=1_000, seed=0, language="python")
    raw = sample.filter(corpus="raw")["path"].to_list()
    refined = sample.filter(corpus="refined")["path"].to_list()
    assert sorted(raw) == sorted(f"{i}.py" for i in (*range(10), *range(20, 40)))
    assert sorted(refined) == sorted(f"{i}.py" for i in range(20, 40))


def test_the_sample_is_balanced_repeatable_and_does_not_depend_on_the_order_of_the_rows():
    files = sample_frame()
    sample = project.sample_corpora(files, num_files=20, seed=0)
    assert sample["corpus"].to_list() == ["raw"] * 10 + ["refined"] * 10
    assert sample["doc_id"].equals(project.sample_corpora(files.reverse(), 20, 0)["doc_id"])
    assert not sample["doc_id"].equals(project.sample_corpora(files, 20, 1)["doc_id"])


def test_planted_files_are_not_on_the_map():
    planted = new_files([{"path": "p.py", "origin": "planted", "text": "x = 1", "language": "python"}])
    files = pl.concat([sample_frame(), planted])
    assert "planted" not in project.sample_corpora(files, 1_000, 0)["origin"].to_list()


def test_too_few_files_and_an_absent_language_are_refused():
    with pytest.raises(ConfigError, match="num_files=3"):
        project.sample_corpora(sample_frame(), 3, 0)
    with pytest.raises(SchemaError, match="language 'pythn'"):
        project.sample_corpora(sample_frame(), 100, 0, "pythn")


def test_a_corpus_of_which_nothing_is_left_cannot_be_mapped():
    files = sample_frame().with_columns(removed_by=pl.lit("filter.code.few_words"))
    with pytest.raises(SchemaError, match=r"The filter left 0 of .* a map needs at least 2"):
        project.sample_corpora(files, 100, 0)


def test_outliers_are_counted_for_every_kind_in_both_corpora():
    points = pl.DataFrame(
        {
            "corpus": ["raw"] * 4 + ["refined"] * 2,
            "kind": ["very short", "very short", "other", "other", "other", "other"],
            "distance": [3.5, 1.0, 4.0, 0.0, 0.5, 3.0],
        }
    )
    table = project.outliers_by_kind(points)
    assert table.height == 2 * len(project.KINDS)
    raw_short = table.row(by_predicate=(pl.col("corpus") == "raw") & (pl.col("kind") == "very short"), named=True)
    assert (raw_short["files"], raw_short["outliers"], raw_short["frac_of_corpus"]) == (2, 1, 0.25)
    refined = table.filter(corpus="refined")
    assert refined["outliers"].sum() == 0, "a file at the limit is inside"
    assert table.filter(kind="comments only")["frac_of_kind"].to_list() == [None, None]


def test_the_bootstrap_gives_the_plain_means_and_no_width_when_repositories_are_alike():
    points = pl.DataFrame(
        {
            "corpus": ["raw", "raw", "refined"] * 3,
            "repo": ["a"] * 3 + ["b"] * 3 + ["c"] * 3,
            "doc_id": [str(i) for i in range(9)],
            "outlier": [True, False, False] * 3,
        }
    )
    found = project.bootstrap_difference(points, "outlier", seed=0)
    assert (found.raw, found.refined, found.value) == (0.5, 0.0, 0.5)
    assert (found.low, found.high, found.num_repos) == (0.5, 0.5, 3)


def test_the_bootstrap_draws_whole_repositories():
    # All of the difference is in one of two repositories: a resample holds it zero, one or two times.
    points = pl.DataFrame(
        {
            "corpus": (["raw"] * 10 + ["refined"] * 10) * 2,
            "repo": ["a"] * 20 + ["b"] * 20,
            "doc_id": [str(i) for i in range(40)],
            "outlier": [True] * 10 + [False] * 30,
        }
    )
    found = project.bootstrap_difference(points, "outlier", seed=0)
    assert (found.low, found.value, found.high) == (0.0, 0.5, 1.0)
    with pytest.raises(SchemaError, match="both hold files"):
        project.bootstrap_difference(points.filter(corpus="raw"), "outlier", seed=0)


def test_the_share_of_outliers_is_read_off_the_map():
    near = np.random.default_rng(3).normal(size=(38, 2)) * 0.1
    points = np.concatenate([near[:19], [[9.0, 9.0]], near[19:], [[0.0, 0.0]]])
    sample = pl.DataFrame(
        {
            "corpus": ["raw"] * 20 + ["refined"] * 20,
            "repo": [f"r{i % 4}" for i in range(40)],
            "doc_id": [str(i) for i in range(40)],
        }
    )
    found = project.outlier_difference(sample, points, seed=0)
    assert (found.raw, found.refined) == (0.05, 0.0)
