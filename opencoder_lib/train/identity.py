"""What makes two runs the same run, and a refusal that names what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from opencoder_lib.errors import ConfigError
from opencoder_lib.train.model import shape_of
from opencoder_lib.train.schedule import WSD, wsd_lr
from opencoder_lib.train.windows import as_source

# What a checkpoint must share with the run that resumes it, in the order in which a difference is told: what it is
# called, and how to mend it.
PARTS = {
    "model": ("of another model", "Set [model] as it was"),
    "data": ("of other data", "Train on the files and with the tokenizer it was trained with"),
    "world_size": ("of another number of processes", "Start as many processes (torchrun --nproc-per-node)"),
    "plan": ("of another plan", "Set [plan] as it was"),
    "feed": ("of another feed", "Set [feed] as it was"),
    "optimizer": ("of another optimizer", "Set [optimizer] as it was"),
    "settings": ("of a run with other settings", "Set them as they were"),
}
ALL = tuple(PARTS)
Identity = dict[str, Any]


class OtherRun(ConfigError):
    """A checkpoint of another model, other data, another plan or another number of processes."""


def identity(
    model: PreTrainedModel,
    source: Any,
    plan: Any,
    feed: Any,
    optimizer: Any = None,
    world_size: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Identity:
    """Names and values of all that decides the next step beside the state itself, as JSON keeps them.

    plan, feed, optimizer: dataclasses. settings: what else the caller holds fixed, e.g. precision and clipping. How
    many micro-batches a step is computed in is left out: fewer sequences at a time change its rounding, not the run.
    """
    fed = _json(feed)
    fed.pop("accumulate", None)
    return {
        "model": _json(shape_of(model)),
        "data": describe_source(source),
        "world_size": world_size,
        "plan": _json(plan),
        "feed": fed,
        "optimizer": _json(optimizer),
        "settings": _json(dict(settings or {})),
    }


def describe_source(source: Any) -> dict[str, Any]:
    """Fingerprint and size of a source; of a mixture also those of its parts, so that a refusal can name one."""
    source = as_source(source)
    about: dict[str, Any] = {}
    if hasattr(source, "sources"):
        about["sources"] = {name: describe_source(part) for name, part in source.sources.items()}
        # Manifests sort their keys; of sources whose windows fall due together the first named is read first.
        about["order"] = list(source.sources)
        about["weights"] = _json(source.weights)
        about["start"], about["already"] = source.start, _json(source.already)
    return about | {"num_tokens": source.num_tokens, "fingerprint": source.fingerprint}


def differences(there: Any, here: Any, name: str = "") -> list[str]:
    """'hidden_size is 128 there and 256 here' for every value that differs, in the order of `here`."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        keys = [*here, *(key for key in there if key not in here)]
        found = [differences(there.get(key), here.get(key), f"{name}.{key}" if name else str(key)) for key in keys]
        return [line for lines in found for line in lines]
    return [] if there == here else [f"{name or 'it'} is {_short(there)} there and {_short(here)} here"]


def check_same(there: Identity, here: Identity, checkpoint: str, step: int, parts: Sequence[str] = ALL) -> None:
    """Raise OtherRun unless the two agree in `parts`; the message names the first that differs, and how it does.

    step: where the checkpoint was written. A plan may differ in what comes later, for instance be longer: that run has
    done the same so far.
    """
    for part in parts:
        found = differences(there[part], here[part], "" if part != "world_size" else part)
        if not found or (part == "plan" and _same_rates(there[part], here[part], step)):
            continue
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        what, mend = PARTS[part]
        raise OtherRun(f"{checkpoint} is {what}: {found[0]}{more}. {mend}, or start anew in another folder.")


def _same_rates(there: Mapping[str, Any], here: Mapping[str, Any], step: int) -> bool:
    """Whether two plans have the same learning rates in the steps before `step`."""
    try:
        plans = [WSD(**plan) for plan in (there, here)]
    except TypeError:
        return False  # not a plan of this kind, so it can only be compared as a whole
    if min(plan.num_steps for plan in plans) < step:
        return False
    rates = [wsd_lr(torch.arange(step), plan) for plan in plans]
    return torch.equal(*rates)


def _json(value: Any) -> Any:
    """`value` as it comes back from JSON: dataclasses as dictionaries, tuples as lists."""
    if is_dataclass(value):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    return value


def _short(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:
        return f"{value[:12]}…"  # a SHA-256
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
