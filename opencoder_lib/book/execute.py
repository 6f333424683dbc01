"""One chapter in a process of its own: python -m opencoder_lib.book.execute SPEC.json

SPEC: notebook, output, parameters, cwd, events (a file descriptor for progress, one JSON object a line), parent (the
runner's process id). The process ends itself and its kernel when the runner is gone, so that a killed runner
leaves nothing behind that still writes.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

POLL_SECONDS = 0.5


def main(spec_path: str) -> int:
    """Execute the notebook of the spec; 0 when papermill raised nothing."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    signal.signal(signal.SIGTERM, lambda *_: end(143))
    # The runner answers Ctrl-C for all its chapters.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch_parent, args=(spec["parent"],), daemon=True).start()
    with os.fdopen(spec["events"], "w", buffering=1) as events:
        try:
            execute(spec, events)
        except Exception as error:
            # Whatever broke is the runner's to report; the cell that failed stands in the output notebook.
            tell(events, event="broke", kind=type(error).__name__, text=str(error))
            return 1
        # Linux counts kilobytes here, macOS bytes. The kernel has been waited for, so this is its peak.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        tell(events, event="ended", peak_memory_mb=round(peak))
    return 0


def execute(spec: dict[str, Any], events) -> None:
    """Run all cells with papermill, telling which one is at work."""
    import papermill

    notebook = json.loads(Path(spec["notebook"]).read_text(encoding="utf-8"))
    total = sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    seen: list[str] = []

    def started(cell, cell_index: int) -> None:
        if cell.cell_type == "code":
            seen.append(cell.id)
            tell(events, event="cell", number=len(seen), of=max(total, len(seen)), cell=cell.id)

    papermill.execute_notebook(
        spec["notebook"],
        spec["output"],
        parameters=spec["parameters"],
        kernel_name="python3",
        progress_bar=False,
        cwd=spec["cwd"],
        # Hooks of nbclient; markdown cells start too, only code cells count.
        on_cell_start=started,
    )


def tell(events, **what: Any) -> None:
    """Send one event; a runner that no longer listens is noticed by watch_parent."""
    try:
        events.write(json.dumps(what) + "\n")
    except (BrokenPipeError, ValueError):
        end(1)


def watch_parent(parent: int) -> None:
    """End this process and its kernel as soon as the runner is no longer its parent."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    end(1)


def end(code: int) -> None:
    """Kill everything this process started, then this process."""
    started = psutil.Process().children(recursive=True)
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    # Collect them here: in a container nobody else may, and they would stay as zombies.
    psutil.wait_procs(started, timeout=2)
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
