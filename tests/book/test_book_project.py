import shutil

import fake_project as fake
import pytest

from opencoder_lib.book.project import (
    PACKAGE,
    Project,
    find_card,
    read_cards,
    read_profiles,
    resolve_parameters,
    with_needs,
)
from opencoder_lib.errors import ConfigError, InputError


@pytest.fixture
def project(tmp_path):
    return fake.make(tmp_path)


@pytest.fixture
def with_profiles(tmp_path):
    """A project whose library holds nothing but the given profiles.toml."""

    def build(text: str, profile: str = "gpu") -> Project:
        fake.make(tmp_path / "checkout")
        library = tmp_path / "opencoder_lib"
        library.mkdir()
        (library / "profiles.toml").write_text(text, encoding="utf-8")
        return Project(tmp_path / "checkout", profile, library)

    return build


def names(cards):
    return [card.name for card in cards]


def test_chapters_come_after_what_they_need_whatever_their_numbers(project):
    fake.write(project.root, _00_last=fake.notebook(fake.code("p", "seed = 0", "parameters"), needs=("02-double",)))
    assert names(read_cards(project.root)) == ["01-count", "02-double", "00-last"]


def test_chapters_that_need_each_other_are_named(project):
    circle = fake.first()
    circle["metadata"]["cookbook"]["needs"] = ["02-double"]
    fake.write(project.root, _01_count=circle)
    with pytest.raises(ConfigError, match=r"in a circle: .*01-count -> 02-double|in a circle: .*02-double -> 01-count"):
        read_cards(project.root)


def test_an_unknown_need_is_named_with_a_near_one(project):
    broken = fake.second()
    broken["metadata"]["cookbook"]["needs"] = ["01-cuont"]
    fake.write(project.root, _02_double=broken)
    with pytest.raises(ConfigError, match=r"02-double needs '01-cuont', which is no chapter\. Did you mean 01-count"):
        read_cards(project.root)


def test_a_cut_off_notebook_is_named(project):
    path = project.root / "notebooks" / "01-count.ipynb"
    path.write_text(path.read_text(encoding="utf-8")[:200], encoding="utf-8")
    with pytest.raises(InputError, match=r"01-count\.ipynb is not a notebook"):
        read_cards(project.root)


def test_a_chapter_is_found_by_number_or_name(project):
    cards = read_cards(project.root)
    assert (
        find_card(cards, "2").name == find_card(cards, "02").name == find_card(cards, "02-double").name == "02-double"
    )
    with pytest.raises(ConfigError, match=r"There is no chapter '02-doubel'\. Did you mean 02-double"):
        find_card(cards, "02-doubel")


def test_a_chapter_brings_what_it_needs(project):
    cards = read_cards(project.root)
    assert names(with_needs(cards, [cards[1]])) == ["01-count", "02-double"]
    assert names(with_needs(cards, [cards[0]])) == ["01-count"]


def test_a_profile_overrides_what_it_names_and_nothing_else(with_profiles):
    project = with_profiles('[gpu.chapters."01-count"]\nsize = 9')
    parameters = resolve_parameters(project, read_cards(project.root))
    assert parameters["01-count"] == {"profile": "gpu", "seed": 0, "size": 9}
    assert parameters["02-double"] == {"profile": "gpu", "seed": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[gpu.chapters."01-count"]\nsise = 9', r'"01-count"\]: 01-count has no parameter \'sise\'. Did you mean size'),
        ('[gpu.chapters."01-count"]\nsize = "9"', r"size of 01-count is int \(such as 3\), not str '9'"),
        ('[gpu.chapters."01-count"]\nseed = true', r"seed of 01-count is int \(such as 0\), not bool True"),
        ('[gpu.chapters."01-cout"]\nsize = 9', r"there is no such chapter. Did you mean 01-count"),
        ("[gpu]\njosb = 2", r"\[gpu\] has no setting 'josb'. Did you mean jobs"),
        ("[toy]\njobs = 2", r"There is no profile 'gpu'"),
    ],
)
def test_a_slip_in_a_profile_is_named(with_profiles, text, message):
    project = with_profiles(text)
    with pytest.raises(ConfigError, match=message):
        resolve_parameters(project, read_cards(project.root))


def test_an_assignment_reaches_every_chapter_that_has_the_name(project):
    parameters = resolve_parameters(project, read_cards(project.root), ["seed=3"])
    assert [parameters[name]["seed"] for name in ("01-count", "02-double")] == [3, 3]


def test_an_assignment_with_a_number_reaches_that_chapter_only(project):
    parameters = resolve_parameters(project, read_cards(project.root), ["02.seed=3"])
    assert [parameters[name]["seed"] for name in ("01-count", "02-double")] == [0, 3]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("sise=4", "no chapter has a parameter 'sise'. Did you mean size"),
        ("size=four", r"size of 01-count is int \(such as 3\), not str 'four'"),
        ("size", "write NAME=VALUE"),
        ("02.size=4", "02-double has no parameter 'size'"),
        ("profile=gpu", "choose the profile with --profile gpu"),
    ],
)
def test_a_slip_in_an_assignment_is_named(project, assignment, message):
    with pytest.raises(ConfigError, match=message):
        resolve_parameters(project, read_cards(project.root), [assignment])


def test_text_needs_no_quotes_in_an_assignment(project):
    fake.write(project.root, _03_name=fake.notebook(fake.code("p", 'encoder = "minilm"', "parameters")))
    assert (
        resolve_parameters(project, read_cards(project.root), ["encoder=codebert"])["03-name"]["encoder"] == "codebert"
    )


@pytest.mark.parametrize("profile", sorted(read_profiles()))
def test_every_profile_of_the_book_names_real_parameters(profile):
    if not list((PACKAGE.parent / "notebooks").glob("*.ipynb")):
        pytest.fail("This checkout has no chapters.")
    project = Project(PACKAGE.parent, profile)
    resolve_parameters(project, read_cards(project.root))


def test_a_project_without_chapters_says_so(project):
    shutil.rmtree(project.root / "notebooks")
    with pytest.raises(ConfigError, match="holds no chapter"):
        read_cards(project.root)
