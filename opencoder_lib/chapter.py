"""What a notebook needs to be a chapter: load, save, show, judge.

    chapter = start_chapter("03-fuzzy-dedup", profile, seed)
    files = chapter.load_corpus("02-exact-dedup")
    ...
    chapter.figure(plots.dedup.s_curve(curve), name="s-curve", caption=f"…")
    chapter.verdict(claim("fuzzy.frac_removed", measured, because="…"))
    chapter.save(corpus=files)

The same cells run in JupyterLab, where a missing earlier chapter is built first, and in a batch, where that is
an error because the runner orders chapters itself.
"""

import ast
import base64
import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from opencoder_lib import report
from opencoder_lib.errors import ConfigError, MissingArtifact, did_you_mean
from opencoder_lib.files import JUDGEMENT, check, judged
from opencoder_lib.store import Store, commit, project_root, versions, write_json

CORPUS_CHAPTER = "01-collect-and-preprocess"
PROFILES = ("toy", "study", "gpu")


def notebook_path(root: Path, chapter: str) -> Path:
    """The stored notebook of a chapter. Raises ConfigError with near names."""
    path = root / "notebooks" / f"{chapter}.ipynb"
    if not path.is_file():
        known = sorted(found.stem for found in (root / "notebooks").glob("*.ipynb"))
        raise ConfigError(f"There is no chapter {chapter!r}.{did_you_mean(chapter, known)}")
    return path


def read_parameters(notebook: dict) -> dict[str, Any]:
    """Name and default of each literal in the one cell tagged `parameters`. Raises ConfigError otherwise."""
    cells = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    if len(cells) != 1:
        raise ConfigError(f"A chapter needs exactly one cell tagged 'parameters'; this one has {len(cells)}.")
    found = {}
    for node in ast.parse("".join(cells[0]["source"])).body:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            raise ConfigError(
                f"The parameters cell may hold only 'name = literal'; line {node.lineno} is something else."
            )
        try:
            found[node.targets[0].id] = ast.literal_eval(node.value)
        except ValueError:
            # papermill puts its overrides after this cell, so a derived value would keep the old number.
            raise ConfigError(
                f"Parameter {node.targets[0].id!r} is not a literal; derive it in the next cell."
            ) from None
    return found


def start_chapter(name: str, profile: str, seed: int) -> "Chapter":
    """Open chapter `name`: find its artifacts, note its parameters, build what it needs when run by hand.

    The parameters are read from the calling notebook, so a stored artifact always says what made it.
    """
    root = project_root()
    card = json.loads(notebook_path(root, name).read_text(encoding="utf-8"))
    values = sys._getframe(1).f_globals
    parameters = {key: values.get(key, default) for key, default in read_parameters(card).items()}
    chapter = Chapter(name, profile, seed, root, card["metadata"]["cookbook"]["needs"], parameters)
    if not chapter.in_batch:
        chapter.build_missing()
    return chapter


def check_profile(name: str) -> None:
    """Raise ConfigError, with near names, when there is no such profile."""
    if name not in PROFILES:
        raise ConfigError(f"There is no profile {name!r}.{did_you_mean(name, PROFILES)}")


class Chapter:
    """One running chapter: its store, its claims and what it has read so far."""

    def __init__(self, name: str, profile: str, seed: int, root: Path, needs: list[str], parameters: dict[str, Any]):
        check_profile(profile)
        self.name, self.profile, self.seed, self.root = name, profile, seed, root
        self.needs, self.parameters = needs, parameters
        self.store = Store(root, profile)
        self.inputs: dict[str, str] = {}
        # The chapter whose changed texts are read, if any.
        self.texts: str | None = None
        self.claims: list[report.Claim] = []
        self.figures: dict[str, str] = {}
        self.started = time.monotonic()

    @property
    def in_batch(self) -> bool:
        """Whether the runner executes this chapter: no questions, no side builds, no progress bars."""
        return os.environ.get("OPENCODER_BATCH") == "1"

    def build_missing(self) -> None:
        """Run the chapters this one needs and that have no artifacts yet, after saying so."""
        for need in self.needs:
            if any(self.store.folder(need).glob("*.json")):
                continue
            print(f"{self.name} needs {need}, which has not run (profile {self.profile}). Running it first …")
            command = [sys.executable, "-m", "opencoder_lib", "run", "--only", need[:2], "--profile", self.profile]
            # Jupyter tells its children to colour; a moving display would fill the cell with control characters.
            plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
            if subprocess.run(command, cwd=self.root, env=plain, check=False).returncode:
                raise MissingArtifact(f"{need} did not finish; see the messages above.")

    def load(self, name: str, of: str) -> Any:
        """The artifact `name` of chapter `of`. Raises MissingArtifact, CorruptArtifact, or ConfigError if the
        chapter's card does not list `of` among its needs."""
        return self._read(name, of, self.store.load)

    def load_path(self, name: str, of: str) -> Path:
        """The path of a stored file (a tokenizer, weights), its bytes checked."""
        return self._read(name, of, self.store.path)

    def _read(self, name: str, of: str, read) -> Any:
        if of not in self.needs:
            raise ConfigError(
                f"{self.name} reads {of} but its metadata cookbook.needs lists {self.needs}. Add it there."
            )
        value = read(of, name, f"chapter {self.name}")
        self.inputs[f"{of}/{name}"] = self.store.describe(of, name)["sha256"]
        return value

    def load_corpus(self, of: str) -> pl.DataFrame:
        """The file frame after chapter `of`: the documents of chapter 01 with the judgements made up to `of`, and the
        texts as a chapter that transforms them left them."""
        documents = self.load("documents", CORPUS_CHAPTER)
        if of == CORPUS_CHAPTER:
            return check(documents)
        judgements = self.load("judgements", of)
        self.texts = self.store.describe(of, "judgements").get("texts")
        return judged(documents, judgements, self.load("texts", self.texts) if self.texts else None)

    def workplace(self) -> Path:
        """A folder that stays between runs of this chapter, for work that goes on where it was stopped."""
        return self.store.build / "work" / self.name

    def save(self, corpus: pl.DataFrame | None = None, texts: pl.DataFrame | None = None, **artifacts: Any) -> None:
        """Store the chapter's results and its record; the last cell of every chapter.

        corpus: the file frame; chapter 01 stores it whole, later chapters store only `doc_id` and the judgement
        columns. texts: `doc_id` and `text` of the files whose text this chapter changed, which later chapters then
        read. Other arguments: frames (Parquet), plain data (JSON) or paths of files.
        """
        if corpus is not None:
            check(corpus)
            whole = self.name == CORPUS_CHAPTER
            artifacts["documents" if whole else "judgements"] = corpus if whole else corpus.select("doc_id", *JUDGEMENT)
        if texts is not None:
            self.texts = self.name
            artifacts["texts"] = texts.select("doc_id", "text")
        about = {
            "chapter": self.name,
            "profile": self.profile,
            "seed": self.seed,
            "parameters": self.parameters,
            "inputs": self.inputs,
            "texts": self.texts,
            "versions": versions(),
            "commit": commit(self.root),
        }
        hashes = {name: self.store.save(self.name, name, value, about)["sha256"] for name, value in artifacts.items()}
        write_json(
            self.store.build / "chapters" / f"{self.name}.json",
            about
            | {
                "artifacts": hashes,
                "claims": report.claims_as_dicts(self.claims),
                "figures": self.figures,
                "seconds": round(time.monotonic() - self.started, 1),
                # Linux counts kilobytes here, macOS bytes.
                "peak_memory_mb": round(
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
                ),
                "device": device_name(),
            },
        )
        print(f"Saved {', '.join(sorted(artifacts))} of chapter {self.name}.")

    def figure(self, drawn: tuple, name: str, caption: str) -> None:
        """Show a figure from `plots`: drawn is (figure, alt text); the caption states this run's finding."""
        from IPython.display import Markdown, display

        figure, alt = drawn
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format="png", dpi=160, transparent=True, bbox_inches="tight", metadata={"Software": None}
        )
        self.figures[name] = caption
        image = base64.b64encode(buffer.getvalue()).decode()
        about = {"cookbook": {"name": f"{self.name[:2]}-{name}", "caption": caption, "alt": alt}}
        display({"image/png": image, "text/plain": alt}, raw=True, metadata=about)
        # The book sets the caption below the figure itself; this line is for readers in JupyterLab.
        display(Markdown(f"*{caption}*"), metadata={"cookbook": {"lab_only": True}})

    def table(self, frame: pl.DataFrame, caption: str = "") -> None:
        """Show a frame as a table."""
        self.html(report.html_table(frame, caption))

    def documents(self, rows: pl.DataFrame, note: str | None = None) -> None:
        """Show each row of a file frame as a document; `note` names a column whose value is shown above it."""
        for row in rows.iter_rows(named=True):
            self.html(report.document(row, note=report.format_cell(note, row[note]) if note else ""))

    def html(self, text: str) -> None:
        """Show a piece of HTML made by `report`."""
        from IPython.display import HTML, display

        display(HTML(text))

    def verdict(self, *claims: report.Claim) -> None:
        """Show what the paper reports beside what this run measured, and keep it for the scoreboard."""
        self.claims.extend(claims)
        self.html(report.claims_table(self.claims))


def device_name() -> str:
    """The accelerator in use when torch is loaded and sees one, else the processor."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {os.cpu_count()} cores"
