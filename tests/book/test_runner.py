"""The runner with real kernels. Each execution costs seconds, so tests share one book where they can."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import fake_project as fake
import psutil
import pytest
from rich.console import Console

from opencoder_lib.book.lock import Busy, locked
from opencoder_lib.book.notebooks import stage_notebook
from opencoder_lib.book.progress import Reporter
from opencoder_lib.book.project import Project, read_cards
from opencoder_lib.book.runner import explain, plan, run
from opencoder_lib.errors import ConfigError, MissingArtifact

# Waits while the file `hold` lies beside the notebooks, so that a test can act in the middle of a chapter.
HOLD = """import pathlib, time

while pathlib.Path("hold").exists():
    time.sleep(0.1)
doubled = [2 * number for number in numbers]"""


class Said(Reporter):
    """A reporter whose lines can be read."""

    def __init__(self):
        super().__init__(Console(file=io.StringIO(), width=200))

    @property
    def text(self) -> str:
        return self.console.file.getvalue()


def go(project, jobs=1, **choice):
    """Run what is stale; return the state of each chapter and what was printed."""
    said = Said()
    outcomes = run(plan(project, **choice), said, jobs)
    return {name: outcome.state for name, outcome in outcomes.items()}, said.text


def stored(project, chapter, name):
    return project.store.load(chapter, name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The two-chapter book after its first run."""
    project = fake.make(tmp_path_factory.mktemp("book"))
    states, text = go(project)
    assert states == {"01-count": "done", "02-double": "done"}
    assert text.index("01-count                  done") < text.index("02-double                 running")
    assert "because never ran" in text
    return project


@pytest.fixture
def book(finished):
    """The finished book; its sources are put back afterwards."""
    yield finished
    fake.write(finished.root, _01_count=fake.first(), _02_double=fake.second())


def test_a_finished_book_has_results_and_no_leftovers(finished):
    assert stored(finished, "02-double", "doubled") == [0, 2, 4]
    record = json.loads((finished.build / "runs" / "02-double.json").read_text(encoding="utf-8"))
    assert record["cells"] == 4
    assert record["peak_memory_mb"] > 10
    assert list(record["inputs"]) == ["01-count/numbers"]
    assert list((finished.build / "running").iterdir()) == []
    assert not (finished.build / "failed").exists()


def test_a_second_run_runs_nothing(book):
    states, text = go(book)
    assert states == {"01-count": "fresh", "02-double": "fresh"}
    assert text.count("up to date") == 2


def test_edited_prose_shows_without_a_new_run(book):
    edited = fake.first()
    edited["cells"][0]["source"] = "# Counting again"
    fake.write(book.root, _01_count=edited)
    assert go(book)[0]["01-count"] == "fresh"
    executed = json.loads((book.build / "executed" / "01-count.ipynb").read_text(encoding="utf-8"))
    page = stage_notebook(read_cards(book.root)[0], executed, {})
    assert page["cells"][0]["source"] == "# Counting again"
    assert page["cells"][-1]["outputs"][0]["text"] == ["Saved numbers of chapter 01-count.\n"]


def test_a_dry_run_says_what_would_run_and_runs_nothing(book):
    fake.write(book.root, _01_count=fake.first(body="numbers = [9]"))
    said = Said()
    assert explain(plan(book), said) == ["01-count", "02-double"]
    assert "stale      cell run-count changed" in said.text
    assert "stale      only if 01-count gives new results" in said.text
    assert stored(book, "01-count", "numbers") == [0, 1, 2]


def test_an_edit_without_effect_stops_at_its_chapter_and_one_with_effect_goes_on(book):
    project = book
    fake.write(project.root, _01_count=fake.first(body="numbers = [*range(size)]"))
    assert go(project)[0] == {"01-count": "done", "02-double": "fresh"}
    states, text = go(project, assignments=["size=5"])
    assert states == {"01-count": "done", "02-double": "done"}
    assert "because parameter size changed (3 -> 5)" in text
    assert "because 01-count has new results" in text
    assert stored(project, "02-double", "doubled") == [0, 2, 4, 6, 8]


def test_a_truncated_result_is_made_again_and_never_read(book):
    project = book
    go(project, only=["01"])
    path = project.store.folder("01-count") / "numbers.data.json"
    path.write_bytes(path.read_bytes()[:2])
    states, text = go(project, only=["1"])
    assert states == {"01-count": "done"}
    assert "because artifact numbers changed on disk" in text
    assert stored(project, "01-count", "numbers") == [0, 1, 2]


def test_an_artifact_that_a_chapter_no_longer_stores_is_gone_after_its_next_run(tmp_path):
    project = fake.make(tmp_path)
    fake.write(project.root, _01_count=fake.first(save="chapter.save(numbers=numbers, spare=numbers)"))
    go(project, only=["01"])
    assert stored(project, "01-count", "spare") == [0, 1, 2]
    fake.write(project.root, _01_count=fake.first())
    go(project, only=["01"])
    with pytest.raises(MissingArtifact):
        stored(project, "01-count", "spare")
    left = {path.name for path in project.store.folder("01-count").iterdir()}
    assert left == {"numbers.json", "numbers.data.json"}


def test_without_its_needs_a_chapter_that_lacks_one_is_refused_before_anything_runs(tmp_path):
    project = fake.make(tmp_path)
    with pytest.raises(MissingArtifact, match="02-double needs 01-count, which has not run"):
        plan(project, only=["02"], needs=False)


def test_a_misspelt_parameter_stops_the_run_before_anything_runs(tmp_path):
    project = fake.make(tmp_path)
    with pytest.raises(ConfigError, match=r"no chapter has a parameter 'sizes'\. Did you mean size"):
        plan(project, assignments=["sizes=4"])
    assert not project.build.exists()


ENDINGS = {
    "11-crash": ("1 / 0", "cell run-count: ZeroDivisionError: division by zero\n    ---"),
    "12-exit": ("raise SystemExit", "cell run-count left by SystemExit (no code)"),
    "13-ours": (
        "from opencoder_lib.errors import ConfigError\n\nraise ConfigError('rows=7 is odd. Try rows=8.')",
        "cell run-count: ConfigError: rows=7 is odd. Try rows=8.\n    as far as it came: build/toy/failed/13",
    ),
    "14-no-save": ("pass", "ended without chapter.save(...)"),
    "15-full-disk": (
        "import resource\n\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\nnumbers = list(range(9999))",
        "cell save: OSError: [Errno 27] File too large",
    ),
    "16-killed": ("import os\n\nos.kill(os.getpid(), 9)", "its kernel died at cell run-count (3 of 4)"),
}


@pytest.fixture(scope="module")
def endings(tmp_path_factory):
    """Six chapters that end badly, one that needs such a one, and one that is well."""
    root = tmp_path_factory.mktemp("endings")
    fake.make(root)
    (root / "notebooks" / "02-double.ipynb").unlink()
    for name, (body, _) in ENDINGS.items():
        save = "pass" if name == "14-no-save" else "chapter.save(numbers=numbers)"
        chapter = fake.first(body=f"numbers = []\n{body}", save=save)
        text = json.dumps(chapter).replace("01-count", name)
        (root / "notebooks" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    needy = json.dumps(fake.second()).replace("01-count", "11-crash").replace("02-double", "21-needy")
    (root / "notebooks" / "21-needy.ipynb").write_text(needy, encoding="utf-8")
    project = Project(root, "toy")
    return project, *go(project, jobs=3)


def test_chapters_that_do_not_need_a_failed_one_go_on(endings):
    _, states, text = endings
    assert states == {**dict.fromkeys(ENDINGS, "failed"), "01-count": "done", "21-needy": "skipped"}
    assert "21-needy                  not run    because it needs 11-crash" in text


@pytest.mark.parametrize("name", ENDINGS)
def test_each_bad_ending_is_told_in_short(endings, name):
    assert ENDINGS[name][1] in endings[2]


@pytest.mark.parametrize("name", ENDINGS)
def test_no_bad_ending_is_taken_as_done(endings, name):
    project, _, _ = endings
    assert not (project.build / "runs" / f"{name}.json").exists()
    assert not (project.build / "executed" / f"{name}.ipynb").exists()


def test_a_failed_notebook_is_kept_for_a_look(endings):
    project, _, _ = endings
    kept = json.loads((project.build / "failed" / "11-crash.ipynb").read_text(encoding="utf-8"))
    assert any(output["output_type"] == "error" for cell in kept["cells"] for output in cell.get("outputs", []))


def test_a_full_disk_leaves_no_half_artifact(endings):
    project, _, _ = endings
    folder = project.store.folder("15-full-disk")
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_chapter_that_takes_too_long_is_stopped_where_it_is(tmp_path, monkeypatch):
    project = fake.make(tmp_path)
    fake.write(tmp_path, _01_count=fake.first(body="import time\n\ntime.sleep(60)"))
    monkeypatch.setattr(Project, "settings", lambda self: {"jobs": 1, "timeout_minutes": 0.08})
    states, text = go(project, only=["01"])
    assert states == {"01-count": "failed"}
    assert "it ran longer than 0.08 minutes and was stopped at cell run-count (3 of 4)" in text


def wait_until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ended(processes):
    """Whether all have ended. Where no init collects orphans, an ended one may stay as a zombie."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def start_runner(project):
    """The runner as a process of its own, once its second chapter hangs in the held cell."""
    (project.root / "notebooks" / "hold").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "opencoder_lib", "run"],
        env=os.environ | {"OPENCODER_ROOT": str(project.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = project.build / "running" / "02-double" / "executed.ipynb"
    wait_until(lambda: output.exists() and '"status": "running"' in output.read_text(encoding="utf-8"))
    descendants = psutil.Process(process.pid).children(recursive=True)
    wait_until(lambda: '"id": "run-double"' in output.read_text(encoding="utf-8"))
    return process, descendants


@pytest.fixture
def held(tmp_path):
    project = fake.make(tmp_path)
    fake.write(tmp_path, _02_double=fake.second(body=HOLD))
    return project


def test_after_ctrl_c_and_after_a_kill_the_next_run_goes_on(held):
    process, descendants = start_runner(held)
    with pytest.raises(Busy, match=f"built by process {process.pid}"), locked(held.build, patience=0):
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert "Stopped while running 02-double. Finished chapters are kept" in process.stdout.read()
    assert ended(descendants)

    process, descendants = start_runner(held)
    assert descendants
    process.kill()
    process.wait()
    wait_until(lambda: ended(descendants), seconds=5)
    assert not (held.build / "runs" / "02-double.json").exists()

    (held.root / "notebooks" / "hold").unlink()
    assert go(held)[0] == {"01-count": "fresh", "02-double": "done"}
    assert stored(held, "02-double", "doubled") == [0, 2, 4]


def test_a_lock_left_by_a_dead_runner_is_nobodys(tmp_path):
    (tmp_path / ".lock").write_text("999999999\n", encoding="utf-8")
    with locked(tmp_path, patience=0):
        assert (tmp_path / ".lock").read_text(encoding="utf-8").strip() == str(os.getpid())


def test_two_runners_on_one_profile_do_not_meet(tmp_path):
    with locked(tmp_path), pytest.raises(Busy, match=f"is being built by process {os.getpid()}"), locked(tmp_path):
        pass
