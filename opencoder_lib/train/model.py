"""Llama-shaped models, from a toy to the paper's two sizes; saved in one file that says what it holds."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from opencoder_lib import seeds
from opencoder_lib.errors import ConfigError, CorruptArtifact, did_you_mean
from opencoder_lib.train.tokenizer import END, encode


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder. `tied`: input and output embeddings are the same matrix."""

    vocab: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    context: int
    rope_theta: float = 10_000.0
    tied: bool = False

    def __post_init__(self):
        if self.hidden % self.heads or (self.hidden // self.heads) % 2:
            raise ConfigError(f"hidden={self.hidden} must split into {self.heads} heads of even width.")
        if self.heads % self.kv_heads:
            raise ConfigError(f"heads={self.heads} must be a multiple of kv_heads={self.kv_heads}.")

    def config(self) -> LlamaConfig:
        """The same sizes in the terms of transformers; norm and initial spread as released with OpenCoder."""
        return LlamaConfig(
            vocab_size=self.vocab,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            intermediate_size=self.ffn,
            max_position_embeddings=self.context,
            rope_parameters={"rope_type": "default", "rope_theta": self.rope_theta},
            tie_word_embeddings=self.tied,
            rms_norm_eps=1e-5,
            initializer_range=0.02,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
        )


SHAPES = {
    # Half a minute on one processor thread.
    "toy": Shape(vocab=2_048, hidden=128, layers=3, heads=2, kv_heads=2, ffn=352, context=256, tied=True),
    # Minutes on one accelerator; heads of 64, which every attention kernel serves.
    "small": Shape(vocab=16_384, hidden=512, layers=8, heads=8, kv_heads=8, ffn=1_376, context=1_024, tied=True),
    # The paper's shapes; the feed-forward sizes are those of the released configurations.
    "opencoder-1.5b": Shape(vocab=96_640, hidden=2_240, layers=24, heads=14, kv_heads=14, ffn=6_144, context=4_096),
    "opencoder-8b": Shape(
        vocab=96_640, hidden=4_096, layers=32, heads=32, kv_heads=8, ffn=14_336, context=8_192, rope_theta=500_000.0
    ),
}


def find_shape(name: str) -> Shape:
    """The shape called `name`. Raises ConfigError with near names."""
    if name not in SHAPES:
        raise ConfigError(f"There is no model shape {name!r}.{did_you_mean(name, SHAPES)}")
    return SHAPES[name]


def build_model(shape: Shape, seed: int) -> LlamaForCausalLM:
    """A model with fresh float32 weights that depend on (shape, seed) alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream_seed(seed, "weights"))
        return LlamaForCausalLM(shape.config())


def count_parameters(shape: Shape, embeddings: bool = True) -> int:
    """Parameters of a shape, without allocating them; `embeddings=False` leaves the vocabulary matrices out."""
    with torch.device("meta"):
        model = LlamaForCausalLM(shape.config())
    vocabulary = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    return sum(p.numel() for p in model.parameters() if embeddings or id(p) not in vocabulary)


def save_model(model: LlamaForCausalLM, shape: Shape, path: Path) -> Path:
    """Write weights (float32, safetensors) with their shape in the header; return the path."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if shape.tied:
        del weights["lm_head.weight"]
    save_file(weights, path, metadata={"shape": json.dumps(asdict(shape), sort_keys=True)})
    return path


def load_model(path: Path) -> LlamaForCausalLM:
    """The model that `save_model` wrote. Raises CorruptArtifact when the file does not say its shape."""
    with safe_open(path, framework="pt") as stream:
        about = stream.metadata() or {}
    if "shape" not in about:
        raise CorruptArtifact(f"{Path(path).name} holds no shape, so it was not written by save_model().")
    shape = Shape(**json.loads(about["shape"]))
    model = LlamaForCausalLM(shape.config())
    missing, unexpected = model.load_state_dict(load_file(path), strict=False)
    if unexpected or set(missing) - ({"lm_head.weight"} if shape.tied else set()):
        raise CorruptArtifact(f"{Path(path).name} does not fit its shape: missing {missing}, unexpected {unexpected}.")
    return model


@torch.inference_mode()
def complete(
    model: LlamaForCausalLM, tokenizer: Tokenizer, prompt: str, num_tokens: int, seed: int, temperature: float = 0.7
) -> str:
    """The prompt and up to `num_tokens` sampled tokens after it, as text; stops at the end of the document.

    temperature 0 takes the likeliest token each time. Depends on (weights, prompt, seed) alone.
    """
    device = model.get_input_embeddings().weight.device
    end = tokenizer.token_to_id(END)
    random = torch.Generator().manual_seed(seeds.stream_seed(seed, "completion"))
    ids = [end, *encode([prompt], tokenizer)[0]]
    for _ in range(num_tokens):
        # No cache of keys and values: at this size reading the window again costs milliseconds and needs no code.
        window = torch.tensor([ids[-model.config.max_position_embeddings :]], device=device)
        logits_V = model(input_ids=window).logits[0, -1].float().cpu()
        if temperature:
            ids.append(int(torch.multinomial((logits_V / temperature).softmax(-1), 1, generator=random)))
        else:
            ids.append(int(logits_V.argmax()))
        if ids[-1] == end:
            break
    return tokenizer.decode(ids, skip_special_tokens=True)
