"""Llama-shaped models, from a toy to the paper's two sizes; saved in one file that says what it holds."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from opencoder_lib import seeds
from opencoder_lib.errors import ConfigError, CorruptArtifact, did_you_mean
from opencoder_lib.train.tokenizer import END, encode

INITIAL_SPREAD = 0.02  # standard deviation of fresh matrices
# The last two train on an accelerator only; flash_attention_2 is a package of its own.
ATTENTIONS = ("sdpa", "eager", "flex_attention", "flash_attention_2")


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

    def config(self, attention: str = "sdpa") -> LlamaConfig:
        """The same sizes in the terms of transformers; norm and initial spread as released with OpenCoder."""
        if attention not in ATTENTIONS:
            raise ConfigError(f"There is no attention {attention!r}.{did_you_mean(attention, ATTENTIONS)}")
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
            initializer_range=INITIAL_SPREAD,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation=attention,
        )


SHAPES = {
    # The smallest that learn what code looks like, in 20 seconds on one processor thread.
    "micro-1k": Shape(vocab=1_024, hidden=128, layers=2, heads=2, kv_heads=2, ffn=384, context=256, tied=True),
    "micro": Shape(vocab=2_048, hidden=128, layers=2, heads=2, kv_heads=2, ffn=384, context=256, tied=True),
    # Half a minute on one processor thread.
    "toy": Shape(vocab=2_048, hidden=128, layers=3, heads=2, kv_heads=2, ffn=352, context=256, tied=True),
    # The smallest that learns to write one-line functions which pass their tests.
    "tasks": Shape(vocab=1_024, hidden=160, layers=3, heads=5, kv_heads=5, ffn=448, context=256, tied=True),
    # Minutes on one accelerator; heads of 64, which every attention kernel serves.
    "small": Shape(vocab=16_384, hidden=512, layers=8, heads=8, kv_heads=8, ffn=1_376, context=1_024, tied=True),
    # Hours on one accelerator: 260 million parameters.
    "base": Shape(vocab=32_768, hidden=1_024, layers=16, heads=16, kv_heads=8, ffn=3_584, context=2_048, tied=True),
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


def shape_of(model: LlamaForCausalLM) -> Shape:
    """The shape a model was built from, read off its configuration."""
    about = model.config
    return Shape(
        vocab=about.vocab_size,
        hidden=about.hidden_size,
        layers=about.num_hidden_layers,
        heads=about.num_attention_heads,
        kv_heads=about.num_key_value_heads,
        ffn=about.intermediate_size,
        context=about.max_position_embeddings,
        rope_theta=about.rope_parameters["rope_theta"],
        tied=about.tie_word_embeddings,
    )


def empty_model(shape: Shape, attention: str = "sdpa") -> LlamaForCausalLM:
    """A model whose weights have shapes and take no memory.

    attention: which kernel computes it, one of ATTENTIONS. Raises ConfigError when that one is not installed.
    """
    config = shape.config(attention)
    try:
        with torch.device("meta"):
            return LlamaForCausalLM(config)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"attention={attention!r} does not work here: {str(error).strip().splitlines()[0]}"
        ) from error


def build_model(
    shape: Shape, seed: int, *, device: str | torch.device = "cpu", attention: str = "sdpa"
) -> LlamaForCausalLM:
    """A model on `device` with fresh float32 weights that depend on (shape, seed) alone, not on the device.

    Each matrix is drawn on the processor and moved at once, so no more than the largest exists twice: a model may be
    as large as what it is built on.
    """
    model = empty_model(shape, attention)
    filled = {}
    for path, part in model.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            # Tied matrices are one parameter under two names and must stay so.
            if id(parameter) not in filled:
                random = torch.Generator().manual_seed(seeds.stream_seed(seed, "weights", f"{path}.{name}"))
                filled[id(parameter)] = nn.Parameter(_fresh(parameter, random).to(device))
            setattr(part, name, filled[id(parameter)])
    return _with_rotary(model, device)


def _fresh(parameter: nn.Parameter, random: torch.Generator) -> torch.Tensor:
    if parameter.ndim == 1:
        return torch.ones(parameter.shape)
    return torch.empty(parameter.shape).normal_(0.0, INITIAL_SPREAD, generator=random)


def _with_rotary(model: LlamaForCausalLM, device: str | torch.device) -> LlamaForCausalLM:
    # The frequencies of the positions are no weights: on the meta device they were never computed.
    rotary = type(model.model.rotary_emb)(config=model.config)
    model.model.rotary_emb = rotary.to(device)
    return model


def count_parameters(shape: Shape, embeddings: bool = True) -> int:
    """Parameters of a shape, without allocating them; `embeddings=False` leaves the vocabulary matrices out."""
    model = empty_model(shape)
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
    model = empty_model(shape)
    # Assigned, not copied: the weights exist once.
    missing, unexpected = model.load_state_dict(load_file(path), strict=False, assign=True)
    if unexpected or set(missing) - ({"lm_head.weight"} if shape.tied else set()):
        raise CorruptArtifact(f"{Path(path).name} does not fit its shape: missing {missing}, unexpected {unexpected}.")
    if shape.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    return _with_rotary(model, "cpu")


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
