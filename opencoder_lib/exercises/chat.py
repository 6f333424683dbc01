"""Conversations in ChatML as token ids: the control tokens are tokens, what anyone says is text.

<|im_start|>user
...<|im_end|>
<|im_start|>assistant
...<|im_end|>
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opencoder_lib.errors import ConfigError

START, STOP, END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def chat_ids(messages: Sequence[Mapping[str, str]], tokenizer: Any, answer_next: bool = False) -> list[int]:
    """The ids of messages with `role` and `content`; with `answer_next` the assistant's turn is opened at the end.

    tokenizer: a tokenizers.Tokenizer. Content that spells a control token stays ordinary text. Raises ConfigError when
    the tokenizer has no ChatML tokens.
    """
    start, stop = control_id(tokenizer, START), control_id(tokenizer, STOP)

    def text(content: str) -> list[int]:
        return tokenizer.encode(content, add_special_tokens=False).ids

    tokenizer.encode_special_tokens = True
    ids: list[int] = []
    for message in messages:
        ids += [start, *text(f"{message['role']}\n{message['content']}"), stop, *text("\n")]
    return [*ids, start, *text("assistant\n")] if answer_next else ids


def answers_only(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> list[int]:
    """The ids of `chat_ids`, with `~id` for what is read and not learned: all but the assistant's words and their end.

    `~id` is negative, and `~~id` is the id again.
    """
    ids: list[int] = []
    for message in messages:
        turn = chat_ids([message], tokenizer)
        if message["role"] == "assistant":
            opening = len(chat_ids([], tokenizer, answer_next=True))
            closing = len(turn) - 1 - turn[::-1].index(control_id(tokenizer, STOP))
            ids += [token if opening <= at <= closing else ~token for at, token in enumerate(turn)]
        else:
            ids += [~token for token in turn]
    return ids


def pack_answers(conversations: Sequence[Sequence[Mapping[str, str]]], tokenizer: Any, context: int) -> np.ndarray:
    """Conversations in a row for windows of `context` tokens, none of them cut: (N,) int32, `answers_only` each.

    Filled up with end tokens that are not learned. An answer whose question was cut off could only be guessed, which
    keeps a small model from learning to copy names and numbers. Raises ConfigError when one does not fit a window.
    """
    filler = ~control_id(tokenizer, END)
    ids: list[int] = []
    for number, conversation in enumerate(conversations):
        turns = [*answers_only(conversation, tokenizer), filler]
        if len(turns) > context:
            raise ConfigError(f"Conversation {number} has {len(turns)} tokens, more than the context of {context}.")
        room = -len(ids) % context
        if len(turns) > room:
            ids += [filler] * room
        ids += turns
    return np.array(ids + [filler] * (-len(ids) % context + 1), dtype=np.int32)


def control_id(tokenizer: Any, token: str) -> int:
    """The id of a control token. Raises ConfigError when the tokenizer has none."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ConfigError(f"The tokenizer has no token {token}. Train it with opencoder_lib.train.tokenizer.")
    return found
