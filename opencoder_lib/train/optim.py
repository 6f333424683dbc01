"""Optimizers: Muon for the matrices inside the layers, AdamW for embeddings and norms.

Which optimizer the paper used is not stated. Muon is chosen because it makes a run of half a minute worth looking at;
`AdamW` alone is there to compare.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from opencoder_lib.errors import ConfigError

OPTIMIZERS = ("muon", "adamw")


@dataclass(frozen=True)
class Recipe:
    """Which optimizer, and what it keeps fixed while the learning rate moves."""

    optimizer: str = "muon"
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0

    def __post_init__(self):
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer={self.optimizer!r} is none of {', '.join(OPTIMIZERS)}.")
        if self.optimizer == "muon" and not hasattr(torch.optim, "Muon"):
            raise ConfigError(f"torch {torch.__version__} has no Muon. Install torch 2.9 or later, or use 'adamw'.")


def make_optimizers(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """Optimizers that together hold every parameter once; rates are set each step by `set_rate`."""
    embeddings = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    matrices, rest = [], []
    for parameter in model.parameters():
        inside = parameter.ndim == 2 and id(parameter) not in embeddings
        (matrices if inside and recipe.optimizer == "muon" else rest).append(parameter)
    adamw = torch.optim.AdamW(rest, lr=0.0, betas=recipe.betas, weight_decay=recipe.weight_decay)
    if not matrices:
        return [adamw]
    return [torch.optim.Muon(matrices, lr=0.0, momentum=recipe.momentum, weight_decay=recipe.weight_decay), adamw]


def set_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Every group steps next with `rate`.

    One rate serves both optimizers: at toy size AdamW's best rate for the embeddings was found to be Muon's.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
