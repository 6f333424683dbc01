"""A byte-level BPE tokenizer: any text is encoded without loss, and no text can write a control token."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from opencoder_lib.errors import ConfigError, CorruptArtifact, InputError, did_you_mean

END, CHAT_START, CHAT_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END, CHAT_START, CHAT_END)
MIN_VOCAB = 256 + len(SPECIAL)
# Pieces that no merge crosses: a name with the space before it, ONE digit, a run of signs, a line end with the
# indentation after it, other space. One token a digit spells numbers of any size alike; line end and indentation in
# one piece make code about 7 % shorter than cutting between them.
PIECES = r" ?[\p{L}_]+| ?\p{N}| ?[^\s\p{L}\p{N}_]+|[^\S\r\n]*[\r\n]+[^\S\r\n]*|\s+"
# Other ways to cut, for comparison; each but the last differs from PIECES in one thing.
SPLITTINGS = {
    "code": PIECES,
    "grouped digits": PIECES.replace(r"\p{N}|", r"\p{N}{1,3}|"),
    "line end apart": PIECES.replace(r"[^\S\r\n]*[\r\n]+[^\S\r\n]*|\s+", r"[\r\n]+|[^\S\r\n]+"),
    "single spaces": PIECES.replace(r"[^\S\r\n]*[\r\n]+[^\S\r\n]*|\s+", r"\s"),
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}
# ChatML, the format of the paper's chat models. A system line of one's own comes first when there is no other.
CHAT_TEMPLATE = (
    "{%% if messages[0]['role'] != 'system' and %(system)s %%}"
    "{{ '<|im_start|>system\\n' + %(system)s + '<|im_end|>\\n' }}{%% endif %%}"
    "{%% for message in messages %%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{%% endfor %%}"
    "{%% if add_generation_prompt %%}{{ '<|im_start|>assistant\\n' }}{%% endif %%}"
)


def train_tokenizer(texts: Iterable[str], vocab_size: int, splitting: str = "code") -> Tokenizer:
    """Learn `vocab_size` tokens (256 bytes, the special tokens, merges) from `texts`.

    splitting: a name in SPLITTINGS, how texts are cut into the pieces that no token crosses. The same texts in the
    same order give the same tokenizer, whatever the number of threads. Raises ConfigError when the vocabulary cannot
    hold the bytes, or when the texts are too few to fill it.
    """
    if vocab_size < MIN_VOCAB:
        raise ConfigError(
            f"vocab_size={vocab_size} cannot hold 256 bytes and {len(SPECIAL)} special tokens; {MIN_VOCAB} can."
        )
    if splitting not in SPLITTINGS:
        raise ConfigError(f"There is no splitting {splitting!r}.{did_you_mean(splitting, SPLITTINGS)}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLITTINGS[splitting]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        # All 256 bytes, seen or not: nothing a user types later can be unknown.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != vocab_size:
        raise ConfigError(
            f"The texts yield only {tokenizer.get_vocab_size()} tokens, not vocab_size={vocab_size}. "
            "Give more text or ask for a smaller vocabulary."
        )
    return tokenizer


def first_tokens(tokenizer: Tokenizer, vocab_size: int) -> Tokenizer:
    """The tokenizer of `vocab_size` tokens that the same texts would have given.

    BPE adds one merge after the other and never looks back, so a smaller vocabulary is the beginning of a larger one.
    """
    if not MIN_VOCAB <= vocab_size <= tokenizer.get_vocab_size():
        raise ConfigError(
            f"vocab_size={vocab_size} is not in {MIN_VOCAB} to {tokenizer.get_vocab_size()}, the tokenizer's own size."
        )
    whole = json.loads(tokenizer.to_str())
    model = whole["model"]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if number < vocab_size}
    # Training stops at the merge that fills the vocabulary. Counting merges would not do: one may repeat a token.
    made = ["".join(pair) for pair in model["merges"]]
    newest = max(model["vocab"], key=model["vocab"].get)
    model["merges"] = model["merges"][: made.index(newest) + 1] if vocab_size > MIN_VOCAB else []
    return Tokenizer.from_str(json.dumps(whole))


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Token ids of each text. Text that spells a special token stays ordinary text.

    Raises InputError with the number of the text when one is no string or has no UTF-8 form.
    """
    # A source file may well contain '<|endoftext|>'; it must not end the document for the model.
    tokenizer.encode_special_tokens = True
    try:
        return [found.ids for found in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
    except TypeError:
        for number, text in enumerate(texts):
            _check_text(number, text)
        raise


def _check_text(number: int, text: str) -> None:
    if not isinstance(text, str):
        raise InputError(f"Text {number} cannot be tokenised: it is {type(text).__name__}, not a string.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"Text {number} cannot be tokenised: character {error.start} is U+{ord(text[error.start]):04X}, half of a "
            "surrogate pair, which has no UTF-8 form. Leave the file out or decode it again."
        ) from None


def encode_chat(messages: Sequence[Mapping[str, str]], tokenizer: Tokenizer, prompt: bool = False) -> list[int]:
    """Token ids of a conversation in ChatML, whose messages cannot write a control token.

    messages: each with 'role' and 'content'. prompt: end with the start of an answer. The ids are those of the chat
    template of `save_pretrained`, except where a message spells a control token, which stays text here.
    """
    start, end = tokenizer.token_to_id(CHAT_START), tokenizer.token_to_id(CHAT_END)
    turns = encode([f"{message['role']}\n{message['content']}" for message in messages], tokenizer)
    line_end, answer = encode(["\n", "assistant\n"], tokenizer)
    ids = [number for turn in turns for number in (start, *turn, end, *line_end)]
    return [*ids, start, *answer] if prompt else ids


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> Path:
    """Write tokenizer.json, which `tokenizers` and `transformers` both load; return its path."""
    tokenizer.save(str(path))
    return path


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a tokenizer.json. Raises InputError when it is not there, CorruptArtifact when it is none."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no tokenizer {path}.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises Exception itself
        raise CorruptArtifact(f"{path.name} holds no tokenizer: {error}") from None
    if tokenizer.token_to_id(END) is None:
        raise ConfigError(f"{path.name} has no token {END}, which ends a document. Train it with train_tokenizer().")
    return tokenizer


def save_pretrained(tokenizer: Tokenizer, folder: Path, context: int | None = None, system: str = "") -> Path:
    """Write a folder that transformers' AutoTokenizer loads, with the same ids and a ChatML chat template; return it.

    context: tokens the model reads at most. system: the system line of a conversation that has none; none by default,
    since a line that names a model is true of that model only. The end token also starts a text and pads, as in
    GPT-2: mask padding by its place, not by its id. AutoTokenizer reads a text that spells a special token as that
    token unless called with split_special_tokens=True.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "additional_special_tokens": [CHAT_START, CHAT_END],
        # Decoding must give the text back, also where it has a space before a comma.
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "chat_template": CHAT_TEMPLATE % {"system": json.dumps(system)},
    }
    if context is not None:
        about["model_max_length"] = context
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return folder


def fingerprint(tokenizer: Tokenizer) -> str:
    """A hash of all that decides the ids of a text; equal for a tokenizer and the same one saved and loaded."""
    whole = json.loads(tokenizer.to_str())
    added = sorted((token["id"], token["content"]) for token in whole["added_tokens"])
    model = {name: whole["model"][name] for name in ("vocab", "merges")}
    deciding = [whole["normalizer"], whole["pre_tokenizer"], model, added]
    return sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
