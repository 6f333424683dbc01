"""A chapter at work: its process, its events, its end."""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opencoder_lib.book.project import Card, Project

GRACE_SECONDS = 5


@dataclass
class Child:
    """One running chapter. `notebook` is the copy being executed, `output` what papermill writes."""

    card: Card
    folder: Path
    process: subprocess.Popen
    record_before: tuple | None
    started: float = field(default_factory=time.monotonic)
    cell: str = ""
    number: int = 0
    of: int = 0
    peak_memory_mb: int | None = None
    broke: dict | None = None

    @property
    def output(self) -> Path:
        """The executed notebook, whole only when the process has ended well."""
        return self.folder / "executed.ipynb"

    @property
    def log(self) -> Path:
        """What the process and its kernel printed outside the notebook."""
        return self.folder / "log.txt"

    @property
    def seconds(self) -> float:
        """Wall-clock seconds since the start."""
        return time.monotonic() - self.started

    def note(self, event: dict[str, Any]) -> None:
        """Take in one event of the process."""
        if event["event"] == "cell":
            self.cell, self.number, self.of = event["cell"], event["number"], event["of"]
        elif event["event"] == "ended":
            self.peak_memory_mb = event["peak_memory_mb"]
        elif event["event"] == "broke":
            self.broke = event

    def stop(self) -> None:
        """End the process and its kernel: kindly, then by force."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                kill_tree(self.process.pid)
                self.process.wait()

    def clean(self) -> None:
        """Remove the working folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def kill_tree(pid: int) -> None:
    """Kill a process and all it started."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def record_state(project: Project, chapter: str) -> tuple | None:
    """What tells one writing of the chapter's record from another."""
    try:
        state = (project.build / "chapters" / f"{chapter}.json").stat()
    except FileNotFoundError:
        return None
    return state.st_ino, state.st_mtime_ns


def start_child(
    project: Project, card: Card, parameters: dict[str, Any], jobs: int, lock: int, events: queue.Queue
) -> Child:
    """Start a chapter in a process of its own; its events arrive in `events` as (chapter, event), then (chapter,
    None)."""
    folder = project.build / "running" / card.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # The notebook as it was read and hashed, not as it may have been edited since.
    (folder / "notebook.ipynb").write_text(json.dumps(card.notebook), encoding="utf-8")
    reader, writer = os.pipe()
    spec = {
        "notebook": str(folder / "notebook.ipynb"),
        "output": str(folder / "executed.ipynb"),
        # Only what differs, so that a toy run shows no injected cell.
        "parameters": {name: value for name, value in parameters.items() if value != card.defaults[name]},
        "cwd": str(card.path.parent),
        "events": writer,
        "parent": os.getpid(),
    }
    (folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    command = [sys.executable, "-m", "opencoder_lib.book.execute", str(folder / "spec.json")]
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=child_environment(project, folder, jobs),
            cwd=project.root,
            # A session of its own: Ctrl-C reaches the runner alone, which then ends its chapters in order.
            start_new_session=True,
            # Holding the lock keeps a new runner out until this process has ended too.
            pass_fds=(writer, lock),
        )
    os.close(writer)
    child = Child(card, folder, process, record_state(project, card.name))
    threading.Thread(target=_listen, args=(reader, card.name, events), daemon=True).start()
    return child


def child_environment(project: Project, folder: Path, jobs: int) -> dict[str, str]:
    """The environment of a chapter: batch mode, this checkout's library, no network, repeatable hashing."""
    environment = dict(os.environ)
    paths = [str(project.library.parent), environment.get("PYTHONPATH", "")]
    environment |= {
        "OPENCODER_BATCH": "1",
        "OPENCODER_ROOT": str(project.root),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONHASHSEED": "0",
        # A reader's own IPython start-up files or kernel specifications must not change a result.
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    environment.setdefault("HF_HUB_OFFLINE", "1")
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    if jobs > 1:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    return environment


def _listen(reader: int, chapter: str, events: queue.Queue) -> None:
    with os.fdopen(reader, encoding="utf-8") as lines:
        for line in lines:
            try:
                events.put((chapter, json.loads(line)))
            except ValueError:
                # A line cut off by a kill.
                continue
    events.put((chapter, None))
