"""The files around the code agree: pins, citation, workflows, commands in prose; and they name nobody's machine."""

import importlib.metadata as metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import opencoder_lib

ROOT = Path(__file__).resolve().parents[1]
PROSE = ("README.md", "CONTRIBUTING.md", "environment.yml", "book/index.md", "book/how-to-read.md")
# Nobody gets a GPL package, a cluster's, or a peer of a benchmark, who did not ask for it by name.
ASKED_FOR = ("zh", "ray", "bench")
HEAVY = {"torch", "transformers", "tokenizers", "jupyter", "jupyter-book", "ipykernel", "papermill", "matplotlib"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(text: str) -> dict[str, Requirement]:
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    found = [Requirement(line) for line in lines if line]
    return {canonicalize_name(item.name): item for item in found}


def pin(item: Requirement) -> str:
    (only,) = item.specifier
    assert only.operator == "==", f"{item} is not an exact pin"
    return only.version


def declared() -> dict[str, Requirement]:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name not in ASKED_FOR}
    lists = [project["dependencies"], *extras.values()]
    return requirements("\n".join(line for lines in lists for line in lines))


def test_requirements_pin_exactly_what_pyproject_declares():
    pinned = requirements(read("requirements.txt"))
    assert set(pinned) == set(declared())
    for name, item in declared().items():
        assert item.specifier.contains(pin(pinned[name])), f"{pinned[name]} does not satisfy {item}"


def test_constraints_hold_the_same_pins():
    constraints = requirements(read("constraints.txt"))
    for name, item in requirements(read("requirements.txt")).items():
        assert pin(constraints[name]) == pin(item)


def test_constraints_pin_the_cluster_that_continuous_integration_installs():
    (ray,) = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]["ray"]
    assert Requirement(ray).specifier.contains(pin(requirements(read("constraints.txt"))["ray"]))


def test_torch_is_pinned_without_a_local_build():
    # A pin such as 2.13.0+cpu exists on one index only; the plain version fits CPU, CUDA and macOS builds.
    for name in ("requirements.txt", "constraints.txt"):
        assert "+" not in pin(requirements(read(name))["torch"])


def test_conda_installs_the_same_pins():
    environment = yaml.safe_load(read("environment.yml"))
    assert environment["channels"] == ["conda-forge"]
    python, pip, lists = environment["dependencies"]
    assert (python, pip) == ("python=3.11", "pip")
    assert lists == {"pip": ["-r requirements.txt", "-c constraints.txt", "-e ."]}


def test_light_install_pulls_neither_models_nor_jupyter():
    waiting, seen = ["opencoder-lib"], set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        for line in metadata.requires(name) or []:
            item = Requirement(line)
            if item.marker is None or item.marker.evaluate({"extra": ""}):
                waiting.append(item.name)
    assert "polars" in seen
    assert seen & HEAVY == set()


def test_readme_example_runs_with_the_light_install_only(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "a.py").write_text("x = 1\n")
    (tmp_path / "two" / "a.py").write_text("x = 1\n")
    (example,) = re.findall(r"```python\n(.*?)```", read("README.md"), re.DOTALL)
    example = example.replace("/path/to/code", str(tmp_path))
    assert str(tmp_path) in example
    check = f"import sys\nprint(sorted(set(sys.modules) & {HEAVY!r}))\n"
    done = subprocess.run([sys.executable, "-c", example + check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exact.duplicate" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_citation_names_this_version_and_the_paper():
    card = yaml.safe_load(read("CITATION.cff"))
    assert card["cff-version"] == "1.2.0"
    assert card["title"]
    assert card["message"]
    assert card["authors"]
    assert str(card["version"]) == opencoder_lib.__version__
    assert card["license"] == "Apache-2.0"
    assert "2411.04905" in str(card["references"])


def test_every_bibliography_entry_is_cited():
    entries = set(re.findall(r"^@\w+\{([^,]+),", read("book/references.bib"), re.MULTILINE))
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    groups = [re.findall(r"\{cite(?::\w)?\}`([^`]+)`", path.read_text(encoding="utf-8")) for path in pages]
    cited = {key.strip() for found in groups for group in found for key in group.split(",")}
    assert cited == entries


@pytest.mark.parametrize("name", ["ci.yml", "nightly.yml"])
def test_workflows_pin_actions_by_commit(name):
    workflow = yaml.safe_load(read(f".github/workflows/{name}"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)


def test_the_ci_script_is_valid_and_what_github_runs():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    steps = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["all"]["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]


def test_make_targets_named_in_prose_exist():
    targets = set(re.findall(r"^([a-z][\w-]*):", read("Makefile"), re.MULTILINE))
    texts = [*map(read, PROSE), read(".ci/run"), read(".github/workflows/nightly.yml")]
    named = {found for text in texts for found in re.findall(r"(?:^|`|: )make ([a-z]+)", text, re.MULTILINE)}
    assert {"book", "test", "setup", "run", "serve"} <= named
    assert named <= targets


def test_commands_named_in_prose_exist():
    named = {found for text in map(read, PROSE) for found in re.findall(r"opencoder ([a-z]+)", text)}
    assert {"run", "book", "models"} <= named
    for verb in sorted(named):
        command = [sys.executable, "-m", "opencoder_lib", verb, "--help"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0, f"opencoder {verb}"


def text_files() -> list[Path]:
    """Files of the checkout that are text; generated folders and those of tools are left out."""
    found = []
    for folder, below, names in os.walk(ROOT):
        hidden = {name for name in below if name.startswith(".") and name not in (".ci", ".github")}
        below[:] = sorted(set(below) - hidden - {"build", "__pycache__"})
        below[:] = [name for name in below if not name.endswith(".egg-info")]
        for name in sorted(names):
            content = (Path(folder) / name).read_bytes()
            if b"\x00" not in content[:8192]:
                found.append(Path(folder) / name)
    return found


def test_no_file_names_a_machine_or_a_package_host():
    # The needles are put together here, so that this file does not contain what it looks for.
    join = "".join
    needles = [
        join(["/wo", "rk/main"]),
        join(["/wo", "rk/shared"]),
        join(["..", "/shared"]),
        join(["/tmp", "/w/"]),
        join(["/opt", "/pypi"]),
        join(["/opt", "/wheels"]),
        join(["files.python", "hosted.org"]),
        join(["pypi.org", "/simple"]),
        join(["download.", "pytorch.org"]),
        join(["registry.npm", "js.org"]),
        join(["conda.", "anaconda.org"]),
    ]
    files = text_files()
    assert ROOT / "README.md" in files
    assert ROOT / ".ci" / "run" in files
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        for needle in needles:
            assert needle not in text, f"{path.relative_to(ROOT)} names {needle}"
