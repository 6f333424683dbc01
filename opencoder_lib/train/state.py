"""Everything a run is made of as plain tensors and numbers, and back: weights, optimizers, step, random generators.

Each process keeps what it holds itself: of a sharded weight its own part. Nothing is gathered and nothing is converted,
so what comes back is bit for bit what went in. Only tensors, numbers, texts, lists and dictionaries occur: a file of
them can be read without running any code that it might carry.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from opencoder_lib.errors import CorruptArtifact

try:
    from torch.distributed.tensor import DTensor
except ImportError:  # torch built without torch.distributed shards nothing

    class DTensor:
        """Stands in where no tensor can be sharded."""


def capture(run: Any, with_weights: bool = True) -> dict[str, Any]:
    """The state of `run` on this process; tensors are the run's own, not copies: write them before the next step.

    with_weights: False leaves out weights and optimizers, for a process whose copy another one writes.
    """
    state = {"step": run.step, "random": random_state(run.device)}
    if with_weights:
        state["weights"] = {name: _local(tensor) for name, tensor in weights_of(run.model).items()}
        state["optimizers"] = [_plain(optimizer.state_dict()) for optimizer in run.optimizers]
    return state


def restore(run: Any, state: Mapping[str, Any], name: str) -> None:
    """Put a captured state into `run`, in place. Raises CorruptArtifact, with `name`, when it does not fit."""
    weights = weights_of(run.model)
    kept = state["weights"]
    if weights.keys() != kept.keys():
        odd = sorted(weights.keys() ^ kept.keys())
        raise CorruptArtifact(f"{name} does not hold the weights of this model: {odd[0]!r} is in only one of the two.")
    if len(run.optimizers) != len(state["optimizers"]):
        raise CorruptArtifact(f"{name} holds {len(state['optimizers'])} optimizers, not {len(run.optimizers)}.")
    # All are looked at before the first is written: a state that does not fit leaves the run as it was.
    for key, tensor in weights.items():
        here = _local(tensor)
        if here.shape != kept[key].shape or here.dtype != kept[key].dtype:
            raise CorruptArtifact(
                f"{name}: {key} is {tuple(kept[key].shape)} {kept[key].dtype}, "
                f"and this model has {tuple(here.shape)} {here.dtype}."
            )
    with torch.no_grad():
        for key, tensor in weights.items():
            _local(tensor).copy_(kept[key])
    for optimizer, values in zip(run.optimizers, state["optimizers"], strict=True):
        _restore_optimizer(optimizer, values, name)
    run.step = state["step"]


def is_sharded(model: nn.Module) -> bool:
    """Whether each process holds only a part of the weights."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def random_state(device: torch.device) -> dict[str, Any]:
    """Where the random generators of this process stand: torch, the accelerator, numpy, Python."""
    kind, keys, place, has_gauss, gauss = np.random.get_state()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), int(place), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Set the generators to where `random_state` found them; an accelerator's only where both sides have one."""
    torch.set_rng_state(state["torch"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and stored buffers by name, each once: tied weights are one weight."""
    # Asked first: this is when FSDP gives back the whole weights that a measurement has left on each process.
    stored = model.state_dict(keep_vars=True)
    # torch.compile puts a word of its own into the names; a checkpoint must not depend on whether it was used.
    found = {name.replace("_orig_mod.", ""): tensor for name, tensor in model.named_parameters()}
    for name, tensor in model.named_buffers():
        if name in stored:
            found[name.replace("_orig_mod.", "")] = tensor
    return found


def _local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, sharing its memory."""
    tensor = tensor.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _plain(value: Any) -> Any:
    """The same structure with every tensor local."""
    if isinstance(value, Tensor):
        return _local(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(inner) for inner in value)
    return value


def _restore_optimizer(optimizer: Optimizer, values: dict[str, Any], name: str) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {}
    for number, entries in values["state"].items():
        parameter = parameters[number] if number < len(parameters) else None
        state[number] = {key: _like(parameter, value) for key, value in entries.items()}
    try:
        optimizer.load_state_dict({"state": state, "param_groups": values["param_groups"]})
    except (ValueError, KeyError) as error:
        raise CorruptArtifact(f"{name} does not fit the optimizer {type(optimizer).__name__}: {error}.") from None


def _like(parameter: Tensor | None, value: Any) -> Any:
    """A copy of an optimizer's value for a parameter, sharded as the parameter is."""
    if not isinstance(value, Tensor):
        return value
    # A copy, since the file may be mapped; the count of steps has no shape and is never sharded.
    value = value.clone()
    if not isinstance(parameter, DTensor) or not value.ndim:
        return value
    return DTensor.from_local(
        value.to(parameter.to_local().device),
        parameter.device_mesh,
        parameter.placements,
        run_check=False,
        shape=parameter.shape,
        stride=parameter.stride(),
    )
