import copy
import json

import fake_project as fake
import pytest

from opencoder_lib.book.notebooks import as_text, stage_notebook, stored_form, strip
from opencoder_lib.book.project import read_cards
from opencoder_lib.errors import ConfigError, InputError

CAPTION = "5 % of *x* in a_b, {cite}`y`, $z$"
FIGURE = {
    "output_type": "display_data",
    "data": {"image/png": "aGk=", "text/plain": "A line."},
    "metadata": {"cookbook": {"name": "01-line", "caption": CAPTION, "alt": 'A "line" \n of <b>'}},
}
LAB_CAPTION = {
    "output_type": "display_data",
    "data": {"text/markdown": f"*{CAPTION}*"},
    "metadata": {"cookbook": {"lab_only": True}},
}


@pytest.fixture
def card(tmp_path):
    fake.make(tmp_path)
    return read_cards(tmp_path)[0]


def executed(card, **outputs):
    """The notebook as papermill leaves it, with the given outputs by cell id (dashes as underscores)."""
    notebook = copy.deepcopy(card.notebook)
    notebook["metadata"]["papermill"] = {"exception": None, "parameters": {}}
    for number, cell in enumerate(cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
        cell["execution_count"] = number + 1
        cell["outputs"] = outputs.get(cell["id"].replace("-", "_"), [])
        cell["metadata"] |= {"papermill": {"duration": 1.5}, "execution": {"iopub.status.busy": "2026"}}
    return notebook


def cell_of(page, name):
    return next(cell for cell in page["cells"] if cell["id"] == name)


def test_a_figure_gets_caption_name_and_alt_text_from_its_run(card):
    page = stage_notebook(card, executed(card, run_count=[FIGURE, LAB_CAPTION]), {})
    cell = cell_of(page, "run-count")
    assert cell["metadata"] == {
        "mystnb": {
            "figure": {"caption": r"5 \% of \*x\* in a\_b, \{cite\}\`y\`, \$z\$", "name": "01-line"},
            "image": {"alt": 'A "line" of <b>', "classes": "dark-light"},
        }
    }
    assert [output["data"] for output in cell["outputs"]] == [FIGURE["data"]]
    assert cell["outputs"][0]["metadata"] == {}


def test_two_figures_in_one_cell_are_refused(card):
    with pytest.raises(ConfigError, match="cell run-count shows 2 figures"):
        stage_notebook(card, executed(card, run_count=[FIGURE, FIGURE]), {})


def test_a_failed_notebook_never_becomes_a_page(card):
    failed = executed(card)
    failed["metadata"]["papermill"]["exception"] = True
    with pytest.raises(ConfigError, match="01-count failed in its last run"):
        stage_notebook(card, failed, {})


def test_the_page_offered_for_download_has_no_trace_of_the_runner(card):
    page = stage_notebook(card, executed(card), {})
    assert "papermill" not in json.dumps(page)
    assert "iopub" not in json.dumps(page)
    assert [cell.get("execution_count") for cell in page["cells"]] == [None, 1, 2, 3, 4]


def test_injected_parameters_are_folded_and_stand_after_the_parameters(card):
    run = executed(card)
    run["cells"].insert(2, fake.code("a1b2", "size = 5", "injected-parameters"))
    page = stage_notebook(card, run, {})
    assert [cell["id"] for cell in page["cells"]][:3] == ["title", "parameters", "injected-parameters"]
    assert page["cells"][2]["metadata"]["tags"] == ["injected-parameters", "hide-input"]
    assert page["cells"][2]["source"] == "size = 5"


def test_numbers_in_prose_come_from_the_paper_and_from_the_run(card):
    page = stage_notebook(card, executed(card), {"exact.frac_removed": (0.1, "share")})
    assert r"says 75 \%, here 10 \%" in cell_of(page, "title")["source"]


def test_an_unknown_number_names_notebook_and_cell(card):
    card.notebook["cells"][0]["source"] = "{paper}`exact.nothing`"
    with pytest.raises(ConfigError, match=r"notebooks/01-count\.ipynb, cell title: \{paper\}`exact\.nothing`"):
        stage_notebook(card, executed(card), {})


def test_strip_restores_the_stored_form_and_then_changes_nothing(card):
    folder = card.path.parent
    strip(folder)
    clean = card.path.read_text(encoding="utf-8")
    run = executed(card, run_count=[FIGURE])
    run["cells"].insert(2, fake.code("a1b2", "size = 5", "injected-parameters"))
    card.path.write_text(json.dumps(run), encoding="utf-8")
    assert strip(folder) == ["01-count.ipynb"]
    assert card.path.read_text(encoding="utf-8") == clean
    assert strip(folder) == []


def test_the_stored_form_is_canonical(card):
    text = as_text(stored_form(card.notebook))
    assert text.endswith("}\n")
    assert json.loads(text)["cells"][1]["source"][0] == 'profile = "toy"\n'
    assert json.loads(text)["metadata"]["cookbook"] == {"needs": [], "part": "I"}


def test_strip_names_a_file_that_is_no_notebook(tmp_path):
    (tmp_path / "x.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.ipynb is not a notebook"):
        strip(tmp_path)
