"""[start]: a run that goes on from another run's checkpoint under a plan or over data of its own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opencoder_lib.durable import as_json, replace_durably
from opencoder_lib.errors import ConfigError
from opencoder_lib.train import parallel
from opencoder_lib.train.checkpoint import Checkpoints, read_manifest
from opencoder_lib.train.identity import describe_source
from opencoder_lib.train.job.config import Config
from opencoder_lib.train.loop import Feed, Run
from opencoder_lib.train.mixture import Mixture
from opencoder_lib.train.windows import Source

# What a branch shares with its trunk: weights and optimizer state must fit, the rest may be its own.
SHARED = ("model", "optimizer")
KEPT = "start.json"


@dataclass(frozen=True)
class Beginning:
    """Where a branch begins: the checkpoint and what it says of itself."""

    path: Path
    manifest: dict[str, Any]

    @property
    def step(self) -> int:
        """Updates that the trunk had done."""
        return self.manifest["step"]

    @property
    def about(self) -> dict[str, Any]:
        """What makes this beginning another one, for the identity of the branch."""
        hashes = {name: file["sha256"] for name, file in self.manifest["files"].items()}
        return {"step": self.step, "files": hashes}

    def already(self, sources: Mapping[str, Source], feed: Feed, say: Callable[[str], Any]) -> dict[str, int]:
        """Windows that the trunk has read of each of these sources, so that the branch reads the others first.

        Windows of another length or order cannot be told apart like that: then all are taken for unread, with a note.
        """
        there = self.manifest["identity"]
        data, fed = there["data"], there["feed"]
        same = [name for name in sources if data.get("sources", {}).get(name) == describe_source(sources[name])]
        if not same:
            return {}
        if (fed["context"], fed["seed"]) != (feed.context, feed.seed):
            say("note: with another context or seed than the trunk's, windows it has read may come again at once.")
            return {}
        # Which source a place reads depends on the weights alone, so nothing need be there to count.
        empty = {name: np.zeros(1, np.int64) for name in data.get("order", data["sources"])}
        trunk = Mixture(empty, data["weights"], data["start"])
        counts = trunk.counts(self.step * fed["batch_size"] - data["start"])
        return {name: data["already"].get(name, 0) + counts[name] for name in same}


def read_beginning(config: Config, feed: Feed) -> Beginning | None:
    """The checkpoint that [start] names; None without one. Raises InputError, CorruptArtifact or ConfigError."""
    if config.start is None:
        return None
    path, kept = Path(config.start.checkpoint), Path(config.out.folder) / KEPT
    # The trunk may have removed it since; a branch that has checkpoints of its own needs only to know what it was.
    manifest = json.loads(kept.read_bytes()).get(str(path)) if kept.is_file() else None
    beginning = Beginning(path, manifest or read_manifest(path))
    last = config.plan.stop_at or config.plan.wsd(feed.tokens_per_step).num_steps
    if beginning.step >= last:
        raise ConfigError(
            f"start.checkpoint = {str(path)!r} is of step {beginning.step}, and this run ends at step {last}. "
            "A plan counts from the start of the trunk."
        )
    return beginning


def load_beginning(run: Run, beginning: Beginning, checkpoints: Checkpoints, folder: Path) -> None:
    """Put `run` where the trunk was, and note in OUT what that is. Raises OtherRun when model or optimizer differ."""
    checkpoints.load(run, beginning.path, SHARED)
    run.saved_step = None
    if parallel.is_first():
        kept = as_json({str(beginning.path): beginning.manifest})
        replace_durably(folder / KEPT, lambda file: file.write(kept))
