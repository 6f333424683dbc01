"""What a run writes down while it runs: one JSON object a line, and curves for TensorBoard.

    {"event": "step", "step": 21, "tokens": 21504, "loss": 4.71, "learning_rate": 0.02, ...}
    {"event": "evaluation", "step": 25, "tokens": 25600, "held_out_bits_per_byte": 3.02}
    {"event": "saved", "step": 25, "checkpoint": "step-00000025"}

A run that goes on from a checkpoint first takes out what was written after it, so no step occurs twice.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from opencoder_lib.durable import explained

NEEDS_TENSORBOARD = (
    "There are no TensorBoard curves: the package tensorboard is not installed (pip install tensorboard)."
)
STEP, EVALUATION = "step", "evaluation"


class RunLog:
    """The log of one run in `path`, from step `from_step` on.

    rows, evaluations: those of the run so far; what the file lacks of them is written again. curves: folder for
    TensorBoard's event files, null for none. say: is told when they cannot be written.
    """

    def __init__(
        self,
        path: Path,
        rows: Sequence[Mapping[str, Any]] = (),
        evaluations: Sequence[Mapping[str, Any]] = (),
        curves: Path | None = None,
        say: Callable[[str], Any] = print,
    ):
        self.path = Path(path)
        from_step = rows[-1]["step"] if rows else -1  # then all is new, the measurement before the first step too
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            known = _cut_after(self.path, from_step)
            # Line by line: what a killed process had logged is there.
            self._file = open(self.path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed by close()
        self._curves = _writer(curves, from_step, say) if curves else None
        self._complete(rows, evaluations, known)

    def step(self, row: Mapping[str, Any]) -> None:
        """Write down a step."""
        self._write(STEP, row)
        self._draw("train", row)

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """Write down a measurement on held-out text."""
        self._write(EVALUATION, row)
        self._draw("held-out", row)

    def event(self, name: str, **about: Any) -> None:
        """Write down anything else that happened: resumed, saved, diverged."""
        self._write(name, about)

    def sync(self) -> None:
        """Force what was written to disk."""
        with explained(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
        if self._curves:
            self._curves.flush()

    def close(self) -> None:
        """End the files."""
        self._file.close()
        if self._curves:
            self._curves.close()

    def _write(self, event: str, row: Mapping[str, Any]) -> None:
        with explained(self.path):
            self._file.write(json.dumps({"event": event, **row}, ensure_ascii=False) + "\n")

    def _draw(self, group: str, row: Mapping[str, Any]) -> None:
        if self._curves:
            for name, value in row.items():
                if name != "step" and isinstance(value, int | float):
                    self._curves.add_scalar(f"{group}/{name}", value, row["step"])

    def _complete(self, rows: Sequence, evaluations: Sequence, known: dict[str, int]) -> None:
        missing = [(row["step"], EVALUATION, row) for row in evaluations if row["step"] > known[EVALUATION]]
        missing += [(row["step"], STEP, row) for row in rows if row["step"] > known[STEP]]
        # At one step the update comes before the measurement.
        for _, event, row in sorted(missing, key=lambda entry: (entry[0], entry[1] == EVALUATION)):
            (self.step if event == STEP else self.evaluation)(row)


def read_log(path: Path, event: str = STEP) -> list[dict[str, Any]]:
    """The rows of one kind in a log; a last line that was cut off is left out."""
    rows = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            row = _parsed(line)
            if row is not None and row["event"] == event:
                rows.append(row)
    return rows


def _cut_after(path: Path, step: int) -> dict[str, int]:
    """Cut the file before its first line of a later step, or that is no line; the last step of each kind left."""
    last = {STEP: 0, EVALUATION: -1}
    if not path.exists():
        return last
    with open(path, "rb+") as file:
        keep = 0
        for line in file:
            row = _parsed(line.decode(errors="replace"))
            if row is None or row.get("step", 0) > step:
                break
            keep += len(line)
            if row["event"] in last:
                last[row["event"]] = row["step"]
        file.truncate(keep)
    return last


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line) if line.endswith("\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) and "event" in row else None


def _writer(folder: Path, from_step: int, say: Callable[[str], Any]) -> Any:
    if find_spec("tensorboard") is None:
        say(NEEDS_TENSORBOARD)
        return None
    from torch.utils.tensorboard import SummaryWriter

    with explained(folder):
        # Later steps that a run before the resumption wrote are hidden.
        return SummaryWriter(log_dir=str(folder), purge_step=from_step + 1)
