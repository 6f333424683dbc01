"""Cross-entropy of the next token without a table of (tokens, vocabulary) logits, and the module that is trained.

Axes: B sequences, T positions, N = B * T tokens, V vocabulary, D width of the model.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from transformers import PreTrainedModel

from opencoder_lib.errors import ConfigError

IGNORED = -100
# Logits of one piece, in tokens * vocabulary. On a processor a piece should stay in the cache (8 MB in float32). An
# accelerator wants large products: each piece also reads and writes the gradient of the whole matrix once.
PIECE = {"cpu": 2**21, "other": 2**28}


class NextToken(nn.Module):
    """What is trained: token ids in, summed loss out. Wrapping for several processes goes around this module.

    chunk_tokens: tokens whose logits exist at a time; None chooses by device and vocabulary. compiled: fuse what lies
    between the matrix products of the loss with torch.compile.
    """

    def __init__(self, model: PreTrainedModel, chunk_tokens: int | None = None, compiled: bool = False):
        super().__init__()
        self.model = model
        self.chunk_tokens = chunk_tokens
        self.compiled = compiled

    def forward(
        self,
        input_ids: Tensor,
        targets_BT: Tensor | None = None,
        position_ids: Tensor | None = None,
    ):
        """Sum of the losses in nats over all targets; without targets what the model itself returns, logits and all.

        input_ids, targets_BT, position_ids: (B, T) integers. Positions that start again at 0 within a row separate
        documents: attention does not cross (see `windows.document_positions`).
        """
        if targets_BT is None:
            return self.model(input_ids=input_ids, position_ids=position_ids)
        hidden_BTD = self.model.model(input_ids=input_ids, position_ids=position_ids).last_hidden_state
        weight_VD = self.model.lm_head.weight
        hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
        return summed_cross_entropy(hidden_ND, weight_VD, targets_N, self.chunk_tokens, self.compiled)


def summed_cross_entropy(
    hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, chunk_tokens: int | None = None, compiled: bool = False
) -> Tensor:
    """Sum over tokens of -log softmax(hidden @ weight.T)[target], in nats, float32; targets of IGNORED add nothing.

    Equal to torch's cross_entropy over the whole table of logits, but only `chunk_tokens` rows of it exist at a time:
    the gradient of each piece is computed along with its loss, so nothing is kept and nothing computed twice. Under
    autocast the products run in its precision, while logits and loss are float32. That is why torch's own
    `linear_cross_entropy` is not used: in bfloat16 it also returns the loss in bfloat16, wrong in the second decimal.
    """
    kind = hidden_ND.device.type
    piece = piece_tokens(len(hidden_ND), len(weight_VD), kind, chunk_tokens)
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight_VD.dtype
    return _Chunked.apply(hidden_ND, weight_VD, targets_N, piece, dtype, compiled)


def piece_tokens(num_tokens: int, vocab: int, device_type: str, chunk_tokens: int | None = None) -> int:
    """How many tokens' logits exist at a time: `chunk_tokens` or what suits the device, all when there are fewer."""
    if chunk_tokens is not None and chunk_tokens < 1:
        raise ConfigError(f"chunk_tokens={chunk_tokens}: at least one token's logits must be computed at a time.")
    suited = max(PIECE.get(device_type, PIECE["other"]) // vocab, 64)
    return min(chunk_tokens or suited, num_tokens)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden_ND, weight_VD, targets_N, chunk_tokens, dtype, compiled):
        wanted = any(ctx.needs_input_grad[:2])
        weight = weight_VD.to(dtype)
        total = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        hidden_grad = torch.empty_like(hidden_ND) if wanted else None
        # Sums over pieces in float32: with sixty pieces bfloat16 would lose what the later ones add.
        weight_grad = torch.zeros_like(weight_VD, dtype=torch.float32) if wanted else None
        loss_and_slope = _compiled_loss_and_slope() if compiled else _loss_and_slope
        for start in range(0, len(hidden_ND), chunk_tokens):
            rows = slice(start, start + chunk_tokens)
            hidden = hidden_ND[rows].to(dtype)
            loss, slope_NV = loss_and_slope(linear(hidden, weight), targets_N[rows])
            total += loss
            if wanted:
                hidden_grad[rows] = slope_NV @ weight
                weight_grad += slope_NV.T @ hidden
        ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.weight_dtype = weight_VD.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * grad, (weight_grad * grad).to(ctx.weight_dtype), None, None, None, None


def _loss_and_slope(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """Summed loss of a piece and its derivative by the logits, softmax minus one-hot, in the logits' precision."""
    known_N1 = (targets_N != IGNORED)[:, None]
    place_N1 = targets_N.clamp(min=0)[:, None]
    slope_NV = torch.softmax(logits_NV, dim=1, dtype=torch.float32)
    # -log softmax = log(sum of exp(l - max)) + max - l[target]; the largest probability is one over that sum. So one
    # exponential a logit serves loss and slope.
    highest_N1, sure_N1 = logits_NV.amax(1, keepdim=True).float(), slope_NV.amax(1, keepdim=True)
    loss_N1 = highest_N1 - logits_NV.gather(1, place_N1).float() - sure_N1.log()
    slope_NV.scatter_add_(1, place_N1, torch.full(place_N1.shape, -1.0, device=slope_NV.device))
    return (loss_N1 * known_N1).sum(), slope_NV.to(logits_NV.dtype).mul_(known_N1)


@cache
def _compiled_loss_and_slope():
    return torch.compile(_loss_and_slope)
