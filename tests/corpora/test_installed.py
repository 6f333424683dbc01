from importlib.metadata import PackagePath
from types import SimpleNamespace

import polars as pl
import pytest

from opencoder_lib.corpora import collect_installed, installed
from opencoder_lib.corpora.installed import Distribution, listed, listed_versions, popularity
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.files import content_hash, remaining
from opencoder_lib.refine.preprocess import keep_source_files
from opencoder_lib.report import may_quote


@pytest.fixture(scope="module")
def collection():
    return collect_installed()


def only(monkeypatch, *entries: Distribution) -> None:
    monkeypatch.setattr(installed, "listed", lambda: list(entries))


def test_the_corpus_is_large_enough_in_several_languages_and_no_repository_dominates(collection):
    kept = remaining(keep_source_files(collection.files))
    sizes = kept.group_by("language").agg(pl.col("n_bytes").sum()).filter(pl.col("n_bytes") > 100_000)
    assert 50e6 < kept["n_bytes"].sum() < 80e6
    assert {"python", "c", "cpp", "cython", "javascript", "typescript", "css", "html", "json"} <= set(sizes["language"])
    assert collection.repos["n_bytes"].max() < 10e6


def test_two_collections_are_the_same_to_the_last_byte(collection):
    assert content_hash(collection.files) == content_hash(collect_installed().files)


def test_rows_are_sorted_and_say_where_they_come_from(collection):
    files = collection.files
    assert files.select("repo", "path").rows() == sorted(files.select("repo", "path").rows())
    assert files["origin"].unique().to_list() == ["installed"]
    assert files.select("license", "version", "repo").null_count().row(0) == (0, 0, 0)
    assert files["committed_at"].null_count() == files.height


def test_nothing_that_differs_between_machines_is_read(collection):
    paths = collection.files["path"]
    for pattern in (r"__pycache__", r"\.pyc$", r"\.so($|\.)", r"\.dist-info/", r"^\.\.", r"__config__\.py$", r"\.pyd$"):
        assert not paths.str.contains(pattern).any(), pattern


def test_every_repository_says_its_version_and_licence_and_all_but_a_few_may_be_quoted(collection):
    versions = listed_versions()
    assert collection.repos["repo"].to_list() == sorted(versions)
    assert collection.repos["version"].to_list() == [versions[name] for name in sorted(versions)]
    unquotable = {name for name in collection.files["license"].unique() if not may_quote(name)}
    assert unquotable == {"MPL-2.0"}


def test_popularity_is_a_stand_in_that_falls_with_the_rank():
    assert popularity("boto3") == 15_000
    assert popularity("Typing.Extensions") == popularity("typing-extensions")
    assert popularity("packaging") > popularity("jupyter-book") > 0
    assert popularity("no-such-package-anywhere") is None


def test_patterns_choose_files_and_parts_may_have_another_licence():
    entry = Distribution("d", "MIT", ("d/*",), ("*/tests/*",), (("d/vendor/*", "BSD-3-Clause"),))
    assert [entry.takes(path) for path in ("d/a.py", "e/a.py", "d/x/tests/a.py")] == [True, False, False]
    assert [entry.license_of(path) for path in ("d/a.py", "d/vendor/b.py")] == ["MIT", "BSD-3-Clause"]


def test_a_distribution_that_is_not_installed_is_named_with_the_way_out(monkeypatch):
    only(monkeypatch, Distribution("no-such-package-anywhere", "MIT"))
    with pytest.raises(InputError, match=r"not installed: no-such-package-anywhere.*make setup"):
        collect_installed()


def test_a_distribution_listed_twice_is_an_error(monkeypatch):
    table = {"never": [], "whole": {"MIT": ["six"]}, "part": {"six": {"license": "MIT"}}}
    monkeypatch.setattr(installed, "_table", lambda: table)
    with pytest.raises(ConfigError, match="'six' twice"):
        listed()


def test_files_that_the_install_record_lists_but_that_are_gone_are_counted(monkeypatch, tmp_path):
    (tmp_path / "here.py").write_text("x = 1\n")

    record = SimpleNamespace(version="1.0", locate_file=lambda path: tmp_path / path)
    record.files = [PackagePath("../../bin/script"), PackagePath("gone.py"), PackagePath("here.py")]
    for file in record.files:
        file.dist = record
    only(monkeypatch, Distribution("six", "MIT"))
    monkeypatch.setattr(installed.metadata, "distribution", lambda name: record)
    collection = collect_installed()
    assert collection.files["path"].to_list() == ["here.py"]
    assert collection.skipped.rows() == [("listed in the install record but gone", 1, "gone.py")]
