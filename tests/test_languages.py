import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencoder_lib.files import new_files
from opencoder_lib.languages import (
    category_of,
    compare_with_paper,
    count_languages,
    count_types,
    differences,
    language_of,
    never_matching,
    paper_counts,
    with_languages,
)


@pytest.mark.parametrize(
    ("path", "language", "category"),
    [
        ("src/a.py", "python", "code"),
        ("a.PY", "unknown", "unknown"),
        ("a.C", "cpp", "code"),
        ("a.h", "c", "code"),
        ("project/CMakeLists.txt", "cmake", "code"),
        ("notes.txt", "text", "text"),
        ("Makefile", "makefile", "code"),
        ("dir.py/Makefile", "makefile", "code"),
        ("dir.py/none", "unknown", "unknown"),
        ("py", "unknown", "unknown"),
        ("a.py.", "unknown", "unknown"),
        (".gitignore", "ignore list", "data"),
        ("configure.sh.in", "cmake", "code"),
        ("table.csv", "csv", "excluded"),
        ("page.ipynb", "jupyter notebook", "excluded"),
        ("a.json\n", "unknown", "unknown"),
        ("", "unknown", "unknown"),
    ],
)
def test_full_name_wins_over_extension_and_case_counts(path, language, category):
    files = with_languages(new_files([{"path": path, "origin": "folder", "text": "x"}]))
    assert (files["language"][0], files["category"][0]) == (language, category)
    assert (language_of(path), category_of(language)) == (language, category)


@given(st.lists(st.text(alphabet="aC./\npyhjson ", max_size=12), max_size=20))
def test_the_vectorised_look_up_equals_the_plain_one(paths):
    rows = pl.DataFrame({"path": paths}, schema={"path": pl.String}).with_columns(
        origin=pl.lit("folder"), text=pl.lit("")
    )
    assert with_languages(new_files(rows))["language"].to_list() == [language_of(path) for path in paths]


def test_given_languages_stay():
    rows = [{"path": "a.py", "origin": "folder", "text": "x", "language": "cython", "natural_language": "fr"}]
    row = with_languages(new_files(rows)).row(0, named=True)
    assert (row["language"], row["category"], row["natural_language"]) == ("cython", "code", "fr")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("def f(): pass", "en"),
        ("", "en"),
        ("12345 !?", "en"),
        ("这是一个测试文件", "zh"),
        ("设置数据库的连接 x", "zh"),
        ("print('测试') # a much longer comment in English", "en"),
        ("これは試験です", "ja"),
        ("漢字漢字漢字かな", "ja"),
        ("Größe prüfen", "en"),
        ("привет мир", "en"),
        (None, None),
    ],
)
def test_natural_language_follows_the_share_of_scripts(text, language):
    removed = "preprocess.binary" if text is None else None
    files = new_files([{"path": "a.py", "origin": "folder", "text": text, "removed_by": removed}])
    assert with_languages(files)["natural_language"].to_list() == [language]


def test_the_table_has_the_types_of_the_release_beside_the_papers():
    assert count_types() == {"code": 469, "data": 119, "text": 22, "excluded": 34, "kept": 610}
    assert paper_counts() == {"code": 470, "data": 115, "text": 22, "excluded": 39, "kept": 607}


def test_the_known_differences_are_these():
    assert differences().rows() == [
        ("adblock filter list", "excluded", None),
        ("c-objdump", None, "data"),
        ("cpp-objdump", None, "data"),
        ("d-objdump", None, "data"),
        ("jupyter notebook", None, "excluded"),
        ("kicad legacy layout", "excluded", None),
        ("linux kernel module", "excluded", None),
        ("microsoft developer studio project", "excluded", None),
        ("roff manpage", "excluded", None),
        ("subrip text", "excluded", None),
        ("textgrid", None, "data"),
    ]


def test_every_difference_in_number_is_explained_by_names():
    counts, paper = count_types(), paper_counts()
    named = differences()
    for kind in ("data", "text", "excluded"):
        more = named.filter(pl.col("table") == kind).height - named.filter(pl.col("paper") == kind).height
        assert counts[kind] - paper[kind] == more


def test_extensions_with_a_dot_never_match_and_are_listed():
    assert never_matching() == {"html.hl": "html", "rs.in": "rust", "sh.in": "shell"}
    assert language_of("lib.rs.in") == language_of("lib.in") != "rust"


def test_counting_sums_files_and_bytes_by_language():
    names = ["a.py", "b.py", "c.json", "d.csv"]
    files = with_languages(new_files([{"path": name, "origin": "folder", "text": "x" * 10} for name in names]))
    first = count_languages(files).row(0, named=True)
    assert first == {"language": "python", "category": "code", "n_files": 2, "n_bytes": 20}
    assert compare_with_paper(files)["in_this_corpus"].to_list() == [1, 1, 0, 2, 1]
