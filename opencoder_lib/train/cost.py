"""What training costs before it starts: arithmetic per token, share of a device's peak, memory.

FLOPs count a multiplication and an addition as two; N weights take 2 N forwards and 4 N backwards per token.
"""

import os

import torch

from opencoder_lib.compute import available_bytes, uses_bfloat16
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.train.loss import piece_tokens
from opencoder_lib.train.model import Shape, count_parameters
from opencoder_lib.train.optim import Recipe

GB = 10**9
ATTENTION_SHARE = {"full": 1.0, "causal": 0.5}
# Dense bfloat16 FLOP/s as the makers' data sheets state them, by what the device's name contains; first match counts.
PEAK_FLOPS = {
    "B200": 2_250e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "A10G": 70e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
# Bytes that one layer keeps of one token for the backward pass, as multiples of hidden, width of the keys, and
# feed-forward width, by (bfloat16, compiled). Counted on tensors that transformers' Llama saves under SDPA; compiled
# layers compute cheap ones again.
KEPT = {(False, False): (32, 8, 16), (True, False): (30, 4, 8), (False, True): (24, 8, 12), (True, True): (14, 4, 6)}


def matrix_weights(shape: Shape) -> int:
    """Weights that a token is multiplied with: all matrices, the output embedding included and the input's not."""
    vocabulary = shape.vocab * shape.hidden
    norms = (2 * shape.layers + 1) * shape.hidden
    return count_parameters(shape, embeddings=False) - norms + vocabulary


def flops_per_token(shape: Shape, context: int, attention: str = "full") -> float:
    """FLOPs of training on one token: 6 per matrix weight, and 12 * layers * hidden * context for attention.

    attention: 'full' counts every position against every other, the convention of most published figures; 'causal'
    counts half of that, which is what a causal kernel computes. Recomputation under checkpointing is not counted: it
    is a cost, not progress.
    """
    if attention not in ATTENTION_SHARE:
        raise ConfigError(f"There is no convention {attention!r}.{did_you_mean(attention, ATTENTION_SHARE)}")
    pairs = 12 * shape.layers * shape.hidden * context
    return 6 * matrix_weights(shape) + ATTENTION_SHARE[attention] * pairs


def peak_flops(device: torch.device) -> float | None:
    """Dense bfloat16 FLOP/s that the maker states for `device`; None for a processor or an unknown name."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in PEAK_FLOPS.items() if known in name), None)


def mfu(tokens_per_second: float, flops: float, peak: float | None, num_devices: int = 1) -> float | None:
    """Model FLOPs utilisation, 0 to 1: the share of the devices' peak that `flops` per token amount to."""
    return None if peak is None else tokens_per_second * flops / (peak * num_devices)


def estimate_memory(
    shape: Shape,
    micro_batch: int,
    context: int,
    recipe: Recipe | None = None,
    *,
    device: torch.device | str = "cpu",
    precision: str = "auto",
    compiled: bool = False,
    recompute: bool = False,
    loss_chunk_tokens: int | None = None,
    strategy: str = "ddp",
    world_size: int = 1,
) -> dict[str, int]:
    """Bytes that one process needs at its fullest, by kind: weights, gradients, optimizer, activations and so on.

    micro_batch: sequences at a time, the batch over accumulate and processes. Options as in `loop.train`. Not counted
    is what the program needs before the model is there. Attention is taken to be 'sdpa' without a document mask.
    """
    device = torch.device(device)
    half = uses_bfloat16(device, precision)
    parameters, inside = count_parameters(shape), count_parameters(shape, embeddings=False)
    vocabulary, tokens = shape.vocab * shape.hidden, micro_batch * context
    norms = (2 * shape.layers + 1) * shape.hidden
    # Muon keeps one number a weight, AdamW two.
    singly = inside - norms if (recipe or Recipe()).optimizer == "muon" else 0
    shards = world_size if strategy == "fsdp" else 1
    layer = (inside - shape.hidden) // shape.layers
    kept = _kept_per_token(shape, half, compiled) * tokens
    stored = (shape.layers * 4 * shape.hidden * tokens + kept) if recompute else shape.layers * kept
    piece = piece_tokens(tokens, shape.vocab, device.type, loss_chunk_tokens)
    # Copies of the matrices in bfloat16 live until the backward pass.
    casts = 2 * (inside - norms) if half else 0
    if shards > 1:
        # Whole at a time are two layers, one computing and one on its way, and the vocabulary.
        casts = (2 if half else 4) * 2 * (layer + vocabulary)
    needed = {
        "weights": 4 * parameters // shards,
        "gradients": 4 * parameters // shards,
        "optimizer": (8 * (parameters - singly) + 4 * singly) // shards,
        "casts": casts,
        # The backward pass of one layer needs about as much again; embeddings, last norm and their gradients.
        "activations": stored + kept + 24 * shape.hidden * tokens,
        # Logits, log-probabilities and slopes of a piece; gradient of the output matrix, twice while it is scaled.
        "loss": 12 * piece * shape.vocab + (10 if half else 8) * vocabulary,
    }
    if shards > 1:
        # Each process builds the whole model before it keeps a share of it.
        needed["building"] = max(4 * parameters - sum(needed.values()), 0)
    # What the allocator loses between them; with it the estimate met the measured peak of small runs within 8 %.
    return needed | {"gaps": sum(needed.values()) // 8}


def _kept_per_token(shape: Shape, half: bool, compiled: bool) -> int:
    by_hidden, by_keys, by_ffn = KEPT[half, compiled]
    keys = shape.hidden // shape.heads * shape.kv_heads
    return by_hidden * shape.hidden + by_keys * keys + by_ffn * shape.ffn + 4 * shape.heads


def check_memory(needed: dict[str, int], device: torch.device | str, available: int | None = None) -> None:
    """Raise ConfigError when `needed` (of `estimate_memory`) is more than this process can have on `device`.

    available: bytes; by default what the system says, on a processor divided among torchrun's processes of this
    machine. Call it before the model is built. Where nothing is known, nothing is refused.
    """
    device = torch.device(device)
    if available is None and (available := available_bytes(device)) is not None and device.type == "cpu":
        available //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    total = sum(needed.values())
    if available is None or total <= available:
        return
    parts = ", ".join(f"{kind} {size / GB:.1f}" for kind, size in sorted(needed.items(), key=lambda item: -item[1]))
    raise ConfigError(
        f"Training would need about {total / GB:.1f} GB on {device}, and {available / GB:.1f} GB are available "
        f"(in GB: {parts}). Take fewer sequences at a time (accumulate), recompute activations, or a smaller shape; "
        "with several processes, shard the weights (fsdp)."
    )
