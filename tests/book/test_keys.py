import json

import fake_project as fake
import pytest

from opencoder_lib.book.keys import FORMAT, Library, code_hash, current_key, stale_reasons
from opencoder_lib.book.project import Project, read_cards, resolve_parameters
from opencoder_lib.durable import file_sha256
from opencoder_lib.store import write_json

MODULES = {
    "__init__.py": "",
    "chapter.py": "from opencoder_lib.store import x\n",
    "store.py": "x = 1\n",
    "lonely.py": "y = 1\n",
    "refine/__init__.py": "",
    "refine/exact.py": "from . import shared\nfrom ..languages import table\nCLAIM = 'exact.frac_removed'\n",
    "refine/shared.py": "",
    "languages.py": "table = 'languages.toml'\n",
    "languages.toml": "a = 1\n",
    "rules/__init__.py": "from importlib import import_module\nimport_module('opencoder_lib.rules.engine')\n",
    "rules/engine.py": "",
    "rules/book/released.toml": "b = 1\n",
    "profiles.toml": "[toy]\n",
    "paper.toml": "[exact]\nfrac_removed = {value = 0.75}\nsurvivor = {value = 'a'}\n",
}


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "opencoder_lib"
    for name, text in MODULES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def reached(library, source):
    return {name.removeprefix("opencoder_lib").lstrip(".") for name in Library(library).reach([source])}


def test_imports_are_followed_to_the_end_with_the_packages_around_them(library):
    source = "from opencoder_lib.refine import exact\nimport polars"
    assert reached(library, source) == {"", "refine", "refine.exact", "refine.shared", "languages"}


def test_a_module_imported_by_a_string_is_reached(library):
    assert reached(library, "import opencoder_lib.rules") == {"", "rules", "rules.engine"}


def test_a_cell_with_magic_is_read_without_it(library):
    assert reached(library, "%timeit 1\nfrom opencoder_lib import chapter") == {"", "chapter", "store"}


def test_tables_go_with_the_modules_that_name_them_or_lie_beside_them(library):
    read = Library(library)

    def data(source):
        return [path.name for path in read.reached_data(read.reach([source]))]

    assert data("import opencoder_lib.languages") == ["languages.toml"]
    assert data("import opencoder_lib.rules.engine") == ["released.toml"]
    assert data("import opencoder_lib.lonely") == []


def test_comments_and_formatting_do_not_change_a_hash_and_code_does():
    assert code_hash("x = 1  # one") == code_hash("# so\nx=1\n")
    assert code_hash("x = 1") != code_hash("x = 2")
    assert code_hash("%timeit f()") != code_hash("%timeit g()")


@pytest.fixture
def project(tmp_path, library):
    fake.make(tmp_path / "checkout")
    fake.write(
        tmp_path / "checkout",
        _01_count=fake.first(body="from opencoder_lib.refine import exact\nnumbers = [size]"),
    )
    return Project(tmp_path / "checkout", "toy", library)


def key_of(project, number=0, assignments=()):
    cards = read_cards(project.root)
    parameters = resolve_parameters(project, cards, assignments)
    return cards[number], current_key(project, cards[number], parameters[cards[number].name], Library(project.library))


def pretend_run(project, number=0, **inputs):
    """Leave behind what a finished run of the chapter would."""
    card, key = key_of(project, number)
    about = project.store.save(card.name, "numbers", [1, 2, 3], {})
    executed = project.build / "executed" / f"{card.name}.ipynb"
    write_json(executed, {})
    run = {
        "format": FORMAT,
        "key": key,
        "inputs": inputs,
        "artifacts": {"numbers": about["sha256"]},
        "notebook_sha256": file_sha256(executed),
    }
    write_json(project.build / "runs" / f"{card.name}.json", run)


def reasons(project, number=0, assignments=()):
    card, key = key_of(project, number, assignments)
    return stale_reasons(project, card, key)


def test_a_chapter_that_never_ran_says_so(project):
    assert reasons(project) == ["never ran"]


def test_nothing_changed_is_no_reason(project):
    pretend_run(project)
    assert reasons(project) == []


def test_prose_comments_and_the_text_of_other_facts_are_no_reason(project):
    pretend_run(project)
    edited = fake.first(body="from opencoder_lib.refine import exact\n\nnumbers = [size]  # one")
    edited["cells"][0]["source"] = "# Another title"
    fake.write(project.root, _01_count=edited)
    (project.library / "refine" / "shared.py").write_text("# a comment\n", encoding="utf-8")
    paper = project.library / "paper.toml"
    paper.write_text(paper.read_text(encoding="utf-8").replace("'a'", "'b'"), encoding="utf-8")
    (project.library / "lonely.py").write_text("y = 2\n", encoding="utf-8")
    assert reasons(project) == []


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("refine/shared.py", "z = 1\n", "module opencoder_lib.refine.shared changed"),
        ("languages.toml", "a = 2\n", "table languages.toml changed"),
        ("paper.toml", "[exact]\nfrac_removed = {value = 0.5}\n", "reported value exact.frac_removed changed"),
        ("store.py", "from opencoder_lib import lonely\nx = 1\n", "it now reaches module opencoder_lib.lonely"),
    ],
)
def test_an_edit_of_the_library_is_named(project, name, text, reason):
    pretend_run(project)
    (project.library / name).write_text(text, encoding="utf-8")
    assert reason in reasons(project)


def test_an_edit_of_a_cell_and_a_parameter_are_named(project):
    pretend_run(project)
    fake.write(project.root, _01_count=fake.first(body="from opencoder_lib.refine import exact\nnumbers = [0]"))
    assert reasons(project, assignments=["size=4"]) == ["parameter size changed (3 -> 4)", "cell run-count changed"]


def test_a_default_changed_in_the_notebook_is_a_changed_parameter(project):
    pretend_run(project)
    fake.write(
        project.root, _01_count=fake.first(size="7", body="from opencoder_lib.refine import exact\nnumbers = [size]")
    )
    assert reasons(project) == ["parameter size changed (3 -> 7)"]


def test_cells_that_changed_places_are_a_reason(project):
    pretend_run(project)
    path = project.root / "notebooks" / "01-count.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][-2:] = reversed(notebook["cells"][-2:])
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert reasons(project) == ["its cells changed places"]


def test_a_truncated_artifact_is_a_reason(project):
    pretend_run(project)
    path = project.store.folder("01-count") / "numbers.data.json"
    path.write_bytes(path.read_bytes()[:3])
    assert reasons(project) == ["artifact numbers changed on disk"]


def test_an_artifact_stored_again_by_hand_is_a_reason(project):
    pretend_run(project)
    project.store.save("01-count", "numbers", [4], {})
    assert reasons(project) == ["artifact numbers changed on disk"]


def test_a_damaged_record_is_a_reason(project):
    pretend_run(project)
    (project.build / "runs" / "01-count.json").write_text('{"key": ', encoding="utf-8")
    assert reasons(project) == ["the record of its last run is damaged"]


def test_a_record_in_an_older_form_is_a_reason(project):
    write_json(project.build / "runs" / "01-count.json", {"key": {}})
    assert reasons(project) == ["it was recorded by another version of the runner"]


def test_new_results_of_an_earlier_chapter_are_a_reason(project):
    pretend_run(project)
    about = project.store.describe("01-count", "numbers")
    pretend_run(project, 1, **{"01-count/numbers": about["sha256"]})
    assert reasons(project, 1) == []
    project.store.save("01-count", "numbers", [5], {})
    assert reasons(project, 1) == ["01-count has new results"]


def test_another_version_of_a_package_is_a_reason(project, monkeypatch):
    pretend_run(project)
    monkeypatch.setattr("opencoder_lib.book.keys.versions", lambda: {"python": "3.99"})
    assert "version of python changed (" in " ".join(reasons(project))


def test_an_edit_in_a_folder_of_the_readers_own_is_a_reason(project, tmp_path):
    own = tmp_path / "own"
    (own / "a").mkdir(parents=True)
    (own / "a" / "x.py").write_text("1", encoding="utf-8")
    fake.write(project.root, _01_count=fake.first(size=repr(str(own)), body="numbers = []"))
    pretend_run(project)
    assert reasons(project) == []
    (own / "a" / "y.py").write_text("2", encoding="utf-8")
    assert reasons(project) == [f"the folder {own} changed"]
