"""A byte-level BPE tokenizer: any text is encoded without loss, and no text can write a control token."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from opencoder_lib.errors import ConfigError

END, CHAT_START, CHAT_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END, CHAT_START, CHAT_END)
MIN_VOCAB = 256 + len(SPECIAL)
# Pieces that no merge crosses: a name with the space before it, ONE digit, a run of signs, a line end with the
# indentation after it, other space. One token a digit spells numbers of any size alike; line end and indentation in
# one piece make code about 7 % shorter than cutting between them.
PIECES = r" ?[\p{L}_]+| ?\p{N}| ?[^\s\p{L}\p{N}_]+|[^\S\r\n]*[\r\n]+[^\S\r\n]*|\s+"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn `vocab_size` tokens (256 bytes, the special tokens, merges) from `texts`.

    The same texts in the same order give the same tokenizer, whatever the number of threads. Raises ConfigError when
    the vocabulary cannot hold the bytes, or when the texts are too few to fill it.
    """
    if vocab_size < MIN_VOCAB:
        raise ConfigError(
            f"vocab_size={vocab_size} cannot hold 256 bytes and {len(SPECIAL)} special tokens; {MIN_VOCAB} can."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
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


def encode(texts: list[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Token ids of each text. Text that spells a special token stays ordinary text."""
    # A source file may well contain '<|endoftext|>'; it must not end the document for the model.
    tokenizer.encode_special_tokens = True
    return [found.ids for found in tokenizer.encode_batch(texts, add_special_tokens=False)]


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> Path:
    """Write tokenizer.json, which `tokenizers` and `transformers` both load; return its path."""
    tokenizer.save(str(path))
    return path
