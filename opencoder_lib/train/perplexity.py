"""How well a model predicts text it has not seen, in bits per byte of fixed text.

Bits per byte, not loss per token: the text is fixed before it is tokenised, so models with different vocabularies
can be compared. Axes: W windows, B windows in a batch, T positions, D documents.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from opencoder_lib import seeds
from opencoder_lib.compute import autocast
from opencoder_lib.errors import ConfigError
from opencoder_lib.intervals import percentile_interval, resamples
from opencoder_lib.train.loss import IGNORED
from opencoder_lib.train.tokenizer import END, encode

# Scoring takes the whole table of logits: so many at a time are 2 GB in float32, and as much twice more on the way.
LOGITS_AT_ONCE = 2**29


@dataclass(frozen=True)
class HeldOut:
    """Fixed documents as windows: what is read, what is to be predicted, and which document each token is of."""

    inputs_WT: np.ndarray
    targets_WT: np.ndarray
    document_WT: np.ndarray
    n_bytes_D: np.ndarray

    @property
    def num_tokens(self) -> int:
        """Tokens that are predicted, the end of each document included."""
        return int((self.targets_WT != IGNORED).sum())


def hold_out_repositories(n_bytes: Mapping[str, int], frac: float, seed: int) -> list[str]:
    """Names of repositories set aside for evaluation: `frac` of all repositories, rounded, drawn by hash of the name.

    Whole repositories, because files of one project share names and habits: a held-out file of a known project
    would measure memory. Raises ConfigError unless both sides get at least one repository.
    """
    names = sorted(n_bytes, key=lambda name: (seeds.hash_share(f"held-out {seed}", name), name))
    count = round(frac * len(names))
    if not 0 < count < len(names):
        raise ConfigError(f"frac={frac} of {len(names)} repositories holds out {count}; both sides need at least one.")
    return sorted(names[:count])


def hold_out(texts: Sequence[str], tokenizer: Tokenizer, context: int) -> HeldOut:
    """Documents ready to be scored by a model that reads `context` tokens at a time.

    Windows follow each other without overlap, so the first tokens of each are predicted from little context. Every
    token is predicted exactly once, the first from an end token.
    """
    if not texts:
        raise ConfigError("There is no held-out text to score.")
    end = tokenizer.token_to_id(END)
    documents = [np.array([*ids, end], np.int64) for ids in encode(texts, tokenizer)]
    stream = np.concatenate([[end], *documents])
    owner = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
    windows = -(-len(owner) // context)
    padding = windows * context - len(owner)

    def rows(values: np.ndarray, fill: int) -> np.ndarray:
        return np.pad(values, (0, padding), constant_values=fill).reshape(windows, context)

    n_bytes = np.array([len(text.encode()) for text in texts])
    return HeldOut(rows(stream[:-1], end), rows(stream[1:], IGNORED), rows(owner, 0), n_bytes)


@torch.inference_mode()
def document_bits(model: PreTrainedModel, held_out: HeldOut, batch_size: int | None = None, precision: str = "auto"):
    """Bits the model needs for each document: (D,) float64, the sum of -log2 of the probability of its tokens.

    batch_size: windows at a time; by default 16, or fewer where vocabulary and context are large.
    """
    device = next(model.parameters()).device
    if batch_size is None:
        logits_of_one = held_out.inputs_WT.shape[1] * model.config.vocab_size
        batch_size = min(16, max(1, LOGITS_AT_ONCE // logits_of_one))
    bits_D = np.zeros(len(held_out.n_bytes_D))
    for start in range(0, len(held_out.inputs_WT), batch_size):
        rows = slice(start, start + batch_size)
        inputs_BT = torch.from_numpy(held_out.inputs_WT[rows]).to(device)
        targets_BT = torch.from_numpy(held_out.targets_WT[rows]).to(device)
        with autocast(device, precision):
            logits_BTV = model(input_ids=inputs_BT).logits
        nats_BT = cross_entropy(logits_BTV.float().mT, targets_BT, ignore_index=IGNORED, reduction="none")
        np.add.at(bits_D, held_out.document_WT[rows], nats_BT.double().cpu().numpy() / np.log(2))
    return bits_D


def bits_per_byte(model: PreTrainedModel, held_out: HeldOut, precision: str = "auto") -> float:
    """Bits the model needs per byte of the held-out text; lower is better, 8 is no model at all."""
    return float(document_bits(model, held_out, precision=precision).sum() / held_out.n_bytes_D.sum())


def uniform_bits_per_byte(held_out: HeldOut, vocab_size: int) -> float:
    """What a model that knows only the vocabulary needs: every token equally likely."""
    return float(held_out.num_tokens * np.log2(vocab_size) / held_out.n_bytes_D.sum())


def unigram_bits_per_byte(held_out: HeldOut, tokens: np.ndarray, vocab_size: int) -> float:
    """What a model that knows only how frequent each training token is needs (add-one smoothing)."""
    counts = np.bincount(tokens, minlength=vocab_size) + 1
    bits_V = -np.log2(counts / counts.sum())
    seen = held_out.targets_WT[held_out.targets_WT != IGNORED]
    return float(bits_V[seen].sum() / held_out.n_bytes_D.sum())


def deflate_bits_per_byte(texts: Sequence[str], piece_bytes: int | None = None) -> float:
    """What the compressor of zip files needs: it learns while reading and has seen no other text.

    piece_bytes: cut the text into pieces of this size and compress each alone, so that the compressor sees as little
    context as a model with a window of that many bytes; None lets it look back 32 kB.
    """
    data = "".join(texts).encode()
    cuts = [*range(0, len(data), piece_bytes or len(data)), len(data)]
    compressed = 0
    for start, stop in pairwise(cuts):
        # Raw deflate: the header and checksum of a file say nothing about the text.
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        compressed += len(packer.compress(data[start:stop]) + packer.flush())
    return 8 * compressed / len(data)


def paired_bootstrap(
    bits_after_R: np.ndarray, bits_before_R: np.ndarray, n_bytes_R: np.ndarray, seed: int, num_resamples: int = 2_000
) -> tuple[float, float]:
    """95 % percentile interval of the change in bits per byte, after minus before, over held-out repositories.

    Repositories are drawn with replacement, each with both of its scores: they are what generalises. The interval
    says nothing about another seed of the model, which only another run can show.
    """
    draws_SR = resamples(len(n_bytes_R), num_resamples, seed, "held-out")
    changes_S = draws_SR @ (np.asarray(bits_after_R) - np.asarray(bits_before_R)) / (draws_SR @ np.asarray(n_bytes_R))
    return percentile_interval(changes_S)
