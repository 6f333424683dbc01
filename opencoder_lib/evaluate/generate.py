"""Greedy generation, many prompts at a time, with the cache of keys and values.

Prompts of different lengths are padded on the left, so that the next token of every row comes from the last column.
Axes: B rows, T positions, V vocabulary.
"""

from collections.abc import Collection, Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from opencoder_lib.errors import ConfigError


def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    num_tokens: int,
    stop: Collection[int] = (),
    batch_size: int = 64,
) -> list[list[int]]:
    """The likeliest next token again and again, for each prompt of token ids: at most `num_tokens` ids each.

    A row ends before the first token of `stop`. Computes in the precision of the weights, one row the same as many up
    to rounding. Raises ConfigError on an empty prompt, and on one that does not fit into the model's context together
    with `num_tokens`.
    """
    if num_tokens < 1 or batch_size < 1:
        raise ConfigError(f"num_tokens={num_tokens} and batch_size={batch_size} must be at least 1.")
    context = model.config.max_position_embeddings
    for at, prompt in enumerate(prompts):
        if not 0 < len(prompt) <= context - num_tokens:
            raise ConfigError(
                f"Prompt {at} has {len(prompt)} tokens. It needs 1 to {context - num_tokens}, so that {num_tokens} "
                f"more fit into the context of {context}. Shorten it or generate fewer."
            )
    # Prompts of like length go together: less padding. What comes back is in the order that was given.
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    found: list[list[int]] = [[] for _ in prompts]
    training = model.training
    model.eval()
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        for row, ids in zip(rows, _batch(model, [prompts[row] for row in rows], num_tokens, set(stop)), strict=True):
            found[row] = ids
    model.train(training)
    return found


@torch.inference_mode()
def _batch(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], num_tokens: int, stop: set[int]
) -> list[list[int]]:
    device = next(model.parameters()).device
    width = max(map(len, prompts))
    # What is padded with does not matter: the mask hides it.
    ids_BT = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask_BT = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    position_BT = (mask_BT.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    rows: list[list[int]] = [[] for _ in prompts]
    running = set(range(len(prompts)))
    for _ in range(num_tokens):
        out = model(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            position_ids=position_BT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        next_B = out.logits[:, -1].float().argmax(-1)
        for row, token in enumerate(next_B.tolist()):
            if token in stop:
                running.discard(row)
            elif row in running:
                rows[row].append(token)
        if not running:
            break
        # A row that has ended goes on unread: taking it out of the cache costs more than it saves.
        ids_BT = next_B[:, None]
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(prompts), 1)], dim=1)
        position_BT = position_BT[:, -1:] + 1
    return rows
