"""A whole run in one file: what one chapter hands to another, so that a branch may go on from it.

Weights, optimizers, records; for a run on one process. The hash inside covers every bit of it.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from opencoder_lib.durable import replace_durably
from opencoder_lib.errors import ConfigError, CorruptArtifact, InputError
from opencoder_lib.train.identity import differences
from opencoder_lib.train.loop import Run, start_run
from opencoder_lib.train.model import Shape, build_model, shape_of
from opencoder_lib.train.optim import Recipe
from opencoder_lib.train.state import capture, is_sharded, restore, set_random_state

KIND = "opencoder run 1"
MUON = getattr(torch.optim, "Muon", ())  # an older torch has none


def save_run(run: Run, path: Path, with_random: bool = False) -> Path:
    """Write `run` to one file, whole or not at all; return the path. Equal runs give equal files.

    with_random: also where this process's random generators stand. The loop draws from none of them unless the model
    has dropout, and they are different in every process. Raises ConfigError for a run whose weights are spread over
    several processes: `Checkpoints` keeps those.
    """
    if is_sharded(run.model):
        raise ConfigError("This run is spread over several processes; keep it with Checkpoints, or export() its model.")
    path = Path(path)
    kept = capture(run)
    if not with_random:
        del kept["random"]
    kept |= {
        "kind": KIND,
        "about": json.dumps(
            {
                "shape": asdict(shape_of(run.model)),
                "optimizer": "muon" if any(isinstance(one, MUON) for one in run.optimizers) else "adamw",
                "log": run.log,
                "evaluations": run.evaluations,
            }
        ),
    }
    kept["sha256"] = _digest(kept)
    replace_durably(path, lambda file: torch.save(kept, file))
    return path


def load_run(path: Path, device: str | torch.device = "cpu", shape: Shape | None = None) -> Run:
    """The run that `save_run` wrote, on `device`, ready to go on or to be branched.

    shape: raise ConfigError unless the model has this one. Sets the random generators of this process where the file
    holds them. Raises CorruptArtifact when the file is not what was written.
    """
    path = Path(path)
    kept = _read(path)
    about = json.loads(kept["about"])
    found = Shape(**about["shape"])
    if shape is not None and (other := differences(asdict(found), asdict(shape))):
        raise ConfigError(f"{path} holds another model: {'; '.join(other)}. Use the shape it was trained with.")
    run = start_run(build_model(found, 0, device=device), Recipe(about["optimizer"]))
    restore(run, kept, str(path))
    run.log[:], run.evaluations[:] = about["log"], about["evaluations"]
    if "random" in kept:
        set_random_state(kept["random"], run.device)
    return run


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"There is no run {path}. Write it with save_run().")
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        whole = kept.get("kind") == KIND and kept.pop("sha256") == _digest(kept)
    except (UnpicklingError, RuntimeError, EOFError, KeyError, AttributeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CorruptArtifact(f"{path} cannot be read as a run: {reason}") from None
    if not whole:
        raise CorruptArtifact(f"{path} is not what save_run() wrote: it was cut off or changed.")
    return kept


def _digest(value: Any) -> str:
    """SHA-256 over the structure and every bit of every tensor, whatever file they lie in."""
    digest = hashlib.sha256()

    def take(inner: Any) -> None:
        if isinstance(inner, torch.Tensor):
            digest.update(f"{inner.dtype}{tuple(inner.shape)}".encode())
            digest.update(inner.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(inner, dict):
            digest.update(f"{{{len(inner)}".encode())
            for key, item in inner.items():
                digest.update(f"{key!r}".encode())
                take(item)
        elif isinstance(inner, list | tuple):
            digest.update(f"[{len(inner)}".encode())
            for item in inner:
                take(item)
        else:
            digest.update(f"{type(inner).__name__}{inner!r}".encode())

    take(value)
    return digest.hexdigest()
