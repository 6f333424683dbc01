"""A trained model as the folder that transformers, and everything that reads its format, loads.

FOLDER/config.json, generation_config.json, model.safetensors (several for a large model), tokenizer.json, ...
"""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from opencoder_lib import __version__
from opencoder_lib.durable import explained, put_in_place, tidy
from opencoder_lib.errors import ConfigError
from opencoder_lib.train import parallel
from opencoder_lib.train.model import empty_model, shape_of
from opencoder_lib.train.state import weights_of
from opencoder_lib.train.tokenizer import END, save_pretrained

# Of one file of weights; a larger model becomes several with an index.
MAX_FILE = "5GB"


def export(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    folder: Path,
    dtype: torch.dtype | None = None,
    max_file: str = MAX_FILE,
) -> Path:
    """Write `model` and `tokenizer` for AutoModelForCausalLM and AutoTokenizer; the folder appears whole. Return it.

    dtype: of the stored weights; as they are by default. Sharded weights are gathered one by one, in the memory of the
    first process: every process must call this. Texts begin after the end token, which therefore also is `bos`, and
    pads. Raises ConfigError for a tokenizer with more tokens than the model, CannotWrite.
    """
    vocab, tokens = model.config.vocab_size, tokenizer.get_vocab_size()
    if tokens > vocab:
        raise ConfigError(f"The tokenizer has {tokens:,} tokens and the model {vocab:,}; this is not its tokenizer.")
    weights = _gathered(model, dtype)
    folder = Path(folder)
    if parallel.is_first():
        with explained(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            tidy(folder.parent, folder.name.__eq__)
            partial = folder.with_name(f".{folder.name}.partial")
            try:
                _write(model, weights, tokenizer, partial, max_file)
            except SafetensorError as error:
                raise OSError(str(error)) from None  # it does not say so when the system refuses a write
            put_in_place(partial, folder)
    parallel.barrier()
    return folder


def _gathered(model: PreTrainedModel, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """All weights on the processor of the first process; nothing on the others."""
    found = {}
    for name, tensor in weights_of(model).items():
        tensor = parallel.whole(tensor.detach())
        if parallel.is_first():
            found[name] = tensor.to("cpu", dtype if tensor.is_floating_point() else None).contiguous()
    return found


def _write(
    model: PreTrainedModel, weights: dict[str, Tensor], tokenizer: Tokenizer, folder: Path, max_file: str
) -> None:
    plain = _plain_model(model, weights)
    end = tokenizer.token_to_id(END)
    marks = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    plain.config.update(marks | {"use_cache": True})
    plain.generation_config = GenerationConfig(**marks)
    transformers_logging.disable_progress_bar()
    plain.save_pretrained(folder, max_shard_size=max_file)
    save_pretrained(tokenizer, folder, context=model.config.max_position_embeddings)
    about = f"Trained with opencoder-lib {__version__} (opencoder train).\n"
    (folder / "README.md").write_text(about, encoding="utf-8")
    for path in folder.iterdir():
        with open(path, "rb+") as stream:
            os.fsync(stream.fileno())


def _plain_model(model: PreTrainedModel, weights: dict[str, Tensor]) -> LlamaForCausalLM:
    """The same model without anything that training put around it."""
    plain = empty_model(shape_of(model))
    missing, unexpected = plain.load_state_dict(weights, strict=False, assign=True)
    plain.tie_weights()
    if unexpected or set(missing) - ({"lm_head.weight"} if plain.config.tie_word_embeddings else set()):
        raise ConfigError(
            f"The model's weights are not those of its shape: missing {missing}, unexpected {unexpected}."
        )
    plain.config.dtype = next(iter(weights.values())).dtype
    return plain
