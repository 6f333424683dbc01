"""One process or many: the same program on a processor, one accelerator, or several under torchrun.

torchrun starts one process a device and tells each its rank. Without it every function here says "rank 0 of 1", and
sums and barriers do nothing. The batch of a step is fixed; each rank computes its part of it, so the number of
processes changes how fast a run is and not what it learns. Axes: W windows, T positions.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from opencoder_lib.compute import pick_device, uses_bfloat16
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.train.loss import IGNORED, NextToken
from opencoder_lib.train.perplexity import HeldOut

# ddp: every process holds all weights. fsdp: each holds its share and gathers a layer when it is computed.
STRATEGIES = ("ddp", "fsdp")


@dataclass(frozen=True)
class Team:
    """This process among those that train together."""

    rank: int
    world_size: int
    device: torch.device


@contextmanager
def team(device: str = "auto", timeout_minutes: float = 30) -> Iterator[Team]:
    """Join the other processes of this torchrun, and leave them at the end; alone, nothing is set up.

    device: 'auto', 'cpu' or 'cuda'; of several accelerators each process takes the one of its local rank. Raises
    ConfigError when there are fewer accelerators than processes. A process that waits longer than `timeout_minutes`
    for the others gives up.
    """
    here = own_device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(0, 1, here)
        return
    if here.type == "cuda":
        torch.cuda.set_device(here)
    dist.init_process_group("nccl" if here.type == "cuda" else "gloo", timeout=timedelta(minutes=timeout_minutes))
    try:
        yield Team(dist.get_rank(), size, here)
    finally:
        dist.destroy_process_group()


def own_device(device: str = "auto") -> torch.device:
    """What this process computes on, without joining the others; arguments and errors as those of `team`."""
    here = pick_device(device)
    if here.type != "cuda" or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return here
    local = int(os.environ["LOCAL_RANK"])
    if local >= torch.cuda.device_count():
        raise ConfigError(
            f"Process {local} of this machine has no accelerator: torch sees {torch.cuda.device_count()}. "
            f"Start torchrun with --nproc-per-node {torch.cuda.device_count()}."
        )
    return torch.device("cuda", local)


def is_parallel() -> bool:
    """Whether this process is one of several."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if is_parallel() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if is_parallel() else 1


def is_first() -> bool:
    """Whether this process is the one that writes files and speaks."""
    return rank() == 0


def barrier() -> None:
    """Return when every process has come here."""
    if is_parallel():
        on = {"device_ids": [torch.cuda.current_device()]} if dist.get_backend() == "nccl" else {}
        dist.barrier(**on)


def sum_over_ranks(values: Tensor) -> Tensor:
    """`values` summed over all processes, the same tensor on each; in place."""
    if is_parallel():
        dist.all_reduce(values)
    return values


def wrap(module: NextToken, strategy: str = "ddp", precision: str = "auto") -> nn.Module:
    """The module whose forward and backward pass work across the processes; alone, `module` itself.

    Both strategies average gradients over the ranks. With 'fsdp' the parameters of `module` become sharded in place,
    layer by layer, are gathered in the precision they are computed in, and their gradients are summed in float32. Make
    optimizers after this.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"There is no strategy {strategy!r}.{did_you_mean(strategy, STRATEGIES)}")
    if not is_parallel():
        return module
    device = next(module.parameters()).device
    if strategy == "ddp":
        # The only buffers are the frequencies of the positions, which no step changes. The switch has two names.
        known = signature(DistributedDataParallel).parameters
        switch = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        return DistributedDataParallel(module, gradient_as_bucket_view=True, **{switch: False})
    computed_in = torch.bfloat16 if uses_bfloat16(device, precision) else None
    # Inputs stay as they are: the sums along the layers are float32 here as without sharding. They begin with the
    # embeddings, which are looked up in the gathered precision.
    module.model.get_input_embeddings().register_forward_hook(lambda _module, _inputs, found_BTD: found_BTD.float())
    policy = MixedPrecisionPolicy(computed_in, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for layer in module.model.model.layers:
        fully_shard(layer, mp_policy=policy)
    return fully_shard(module, mp_policy=policy)


def gradients_stay_here(module: nn.Module, wanted: bool) -> AbstractContextManager:
    """A context in which a backward pass exchanges no gradients, if `wanted` and if that saves anything.

    For all but the last of several micro-batches. Sharded modules exchange each time: keeping whole gradients over the
    step would cost the memory that sharding saves.
    """
    return module.no_sync() if wanted and isinstance(module, DistributedDataParallel) else nullcontext()


def is_sharded(module: nn.Module) -> bool:
    """Whether `module` holds only this process's share of its weights."""
    return isinstance(module, FSDPModule)


class Scorer:
    """A sharded module as something to score texts with, also under inference mode."""

    def __init__(self, module: nn.Module):
        self.module = module

    @property
    def config(self):
        """That of the model."""
        return self.module.model.config

    def parameters(self) -> Iterator[nn.Parameter]:
        """Its parameters, as this rank holds them."""
        return self.module.parameters()

    def __call__(self, input_ids: Tensor):
        """What the model returns for these tokens: logits (B, T, V) and more."""
        # Buffers for gathered weights are kept; made under inference mode, training could not write to them.
        with torch.inference_mode(False), torch.no_grad():
            return self.module(input_ids.clone())


def whole(value: Tensor) -> Tensor:
    """A plain tensor: one that is spread over the processes is put together, on each of them."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def share_of(held_out: HeldOut) -> HeldOut:
    """Every world_size-th window, from this rank on; bits of documents summed over the ranks are those of the whole.

    All ranks get equally many, for a sharded model computes only when all take part: some may get a window in which
    nothing is predicted.
    """
    if not is_parallel():
        return held_out
    missing = -len(held_out.inputs_WT) % world_size()

    def mine(values_WT: np.ndarray, fill: int) -> np.ndarray:
        return np.pad(values_WT, ((0, missing), (0, 0)), constant_values=fill)[rank() :: world_size()]

    parts = (mine(held_out.inputs_WT, 0), mine(held_out.targets_WT, IGNORED), mine(held_out.document_WT, 0))
    return HeldOut(*parts, held_out.n_bytes_D)
