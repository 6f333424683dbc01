import pytest
from hypothesis import given, settings
from stage_contract import assert_stage_contract, file_frames

from opencoder_lib.files import new_files
from opencoder_lib.languages import with_languages
from opencoder_lib.refine.github_text import count_named_text, keep_named_text


def removed(path: str, category: str | None = "text") -> str | None:
    row = {"path": path, "origin": "git", "text": "words", "category": category}
    return keep_named_text(new_files([row]))["removed_by"][0]


@settings(deadline=None)
@given(file_frames())
def test_keeping_named_text_keeps_the_stage_contract(files):
    assert_stage_contract(keep_named_text, with_languages(files))


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "readme",
        "deep/er/ReadMe.txt",
        "NOTES.rst",
        "todo.org",
        "description.txt",
        "CMakeLists.txt",
        "requirements.txt",
        "dev-requirements-3.txt",
        "docs/Requirement.adoc",
        "my_requirements_list.md",
    ],
)
def test_text_of_a_listed_name_stays(path):
    assert removed(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "guide.md",
        "readme/guide.md",
        "requirements/base.txt",
        "README.zh.md",
        "readme_old.md",
        "notes-2.txt",
        ".readme",
        "LICENSE",
        "todo.list.txt",
        "require.txt",
        "a.readme",
    ],
)
def test_other_text_is_removed(path):
    assert removed(path) == "preprocess.unnamed_text"


@pytest.mark.parametrize("category", ["code", "data", "excluded", "unknown", None])
def test_what_is_not_text_is_untouched(category):
    assert removed("guide.md", category) is None


def test_text_is_counted_by_the_name_it_answers_to_and_the_same_after_the_stage():
    rows = [("README.md", "12345"), ("a/readme.txt", "123"), ("requirements.txt", "12"), ("guide.md", "1234567890")]
    gone = [("TODO.md", "123", "exact.duplicate"), ("x.py", "1", None)]
    files = new_files(
        [{"path": path, "text": text, "category": "text", "origin": "git"} for path, text in rows]
        + [{"path": p, "text": t, "category": "text", "origin": "git", "removed_by": by} for p, t, by in gone[:1]]
        + [{"path": "x.py", "text": "1", "category": "code", "origin": "git"}]
    )
    counts = count_named_text(files)
    assert counts.rows() == [
        ("readme", True, 2, 8, 0.4),
        ("requirement", True, 1, 2, 0.1),
        (None, False, 1, 10, 0.5),
    ]
    assert count_named_text(keep_named_text(files)).equals(counts)
    assert count_named_text(files.clear()).is_empty()
