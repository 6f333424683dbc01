"""Optimizers: Muon for the matrices inside the layers, AdamW for embeddings and norms.

Which optimizer the paper used is not stated. Muon is chosen because it makes a run of half a minute worth looking at;
`AdamW` alone is there to compare. Both step sharded weights as they step whole ones.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from opencoder_lib.errors import ConfigError

OPTIMIZERS = ("muon", "adamw")


@dataclass(frozen=True)
class Recipe:
    """Which optimizer, and what it keeps fixed while the learning rate moves.

    embedding_rate: what the rate of a step is multiplied by for the two vocabulary matrices. weight_decay is
    decoupled, per unit of learning rate, and spares vectors: pulling a norm's gain to zero serves nothing.
    """

    optimizer: str = "muon"
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    embedding_rate: float = 1.0

    def __post_init__(self):
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer={self.optimizer!r} is none of {', '.join(OPTIMIZERS)}.")
        if self.optimizer == "muon" and not hasattr(torch.optim, "Muon"):
            raise ConfigError(f"torch {torch.__version__} has no Muon. Install torch 2.9 or later, or use 'adamw'.")
        if len(self.betas) != 2 or not all(0 <= share < 1 for share in (self.momentum, *self.betas)):
            raise ConfigError(
                f"Momentum and two betas must lie in [0, 1), not momentum={self.momentum}, betas={tuple(self.betas)}."
            )
        if not 0 <= self.weight_decay < float("inf"):
            raise ConfigError(f"weight_decay={self.weight_decay} must be at least 0 and finite.")
        if not 0 < self.embedding_rate < float("inf"):
            raise ConfigError(f"embedding_rate={self.embedding_rate} must be above 0 and finite.")


def make_optimizers(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """Optimizers that together hold every parameter once; rates are set each step by `set_rate`."""
    # A dictionary, not a set: the order decides how a saved state finds its weights.
    vocabulary = {
        id(part.weight): part.weight for part in (model.get_input_embeddings(), model.get_output_embeddings())
    }
    inside = [parameter for parameter in model.parameters() if id(parameter) not in vocabulary]
    matrices = [parameter for parameter in inside if parameter.ndim == 2]
    vectors = [parameter for parameter in inside if parameter.ndim != 2]
    kept = {"lr": 0.0, "weight_decay": recipe.weight_decay}
    groups = [
        {"params": list(vocabulary.values()), "rate_factor": recipe.embedding_rate},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return [_adamw([{"params": matrices}, *groups], recipe, kept)]
    return [torch.optim.Muon(matrices, momentum=recipe.momentum, **kept), _adamw(groups, recipe, kept)]


def _adamw(groups: list[dict], recipe: Recipe, kept: dict) -> Optimizer:
    device = groups[0]["params"][0].device.type
    # One kernel for all: a third of the processor's time of the loop over tensors, and far fewer launches elsewhere.
    return torch.optim.AdamW(groups, betas=tuple(recipe.betas), fused=device in ("cpu", "cuda"), **kept)


def set_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Every group steps next with `rate`, times the group's own factor where it has one.

    One rate serves both optimizers: at toy size AdamW's best rate for the embeddings was found to be Muon's.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)
