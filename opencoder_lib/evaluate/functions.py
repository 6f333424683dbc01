"""The share of one-line functions that a model writes right at its first try, greedily: pass@1 by running them.

score = pass_at_1(model, tokenizer, draw(300, seed=0, split="test"))
score.share, score.interval(), score.families()

A reply counts when its program passes every case of its exercise in the sandbox. Exercises of one family resemble each
other, so besides Wilson's interval, which takes them as independent, there is one that draws whole families.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from opencoder_lib.errors import ConfigError
from opencoder_lib.evaluate.generate import generate
from opencoder_lib.exercises import HELD_OUT, Exercise, draw, held_out_families
from opencoder_lib.exercises.chat import END, STOP, chat_ids, control_id
from opencoder_lib.exercises.render import completion, question
from opencoder_lib.intervals import percentile_interval, resamples, wilson
from opencoder_lib.sandbox import Limits, run

STYLES = ("chat", "completion")
NUM_TOKENS = 64
FENCE = re.compile(r"```[a-z]*\n(.*?)(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Score:
    """What became of each task. `results`: task, family, kind, held_out, reply, program, verdict, passed."""

    results: pl.DataFrame

    @property
    def num_passed(self) -> int:
        """How many tasks passed."""
        return int(self.results["passed"].sum())

    @property
    def share(self) -> float:
        """pass@1."""
        return self.num_passed / self.results.height

    def interval(self) -> tuple[float, float]:
        """95 % for further tasks of the same families, taken as independent: Wilson's."""
        return wilson(self.num_passed, self.results.height)

    def interval_over_families(self, seed: int = 0, num_resamples: int = 2_000) -> tuple[float, float]:
        """95 % for other families of the same sort: a bootstrap that draws families, each with all its tasks."""
        table = self.families()
        draws_SU = resamples(table.height, num_resamples, seed, "families")
        passed_S, tasks_S = (draws_SU @ np.asarray(table[name]) for name in ("num_passed", "num_tasks"))
        return percentile_interval(passed_S / tasks_S)

    def families(self) -> pl.DataFrame:
        """A row a family: family, kind, held_out, num_tasks, num_passed, share."""
        return (
            self.results.group_by("family", "kind", "held_out", maintain_order=True)
            .agg(num_tasks=pl.len().cast(pl.Int64), num_passed=pl.col("passed").sum().cast(pl.Int64))
            .with_columns(share=pl.col("num_passed") / pl.col("num_tasks"))
        )

    def verdicts(self) -> pl.DataFrame:
        """How often each verdict was given, most often first: verdict, num_tasks."""
        counts = self.results.group_by("verdict").agg(num_tasks=pl.len().cast(pl.Int64))
        return counts.sort("num_tasks", "verdict", descending=[True, False])

    def where(self, held_out: bool) -> "Score":
        """The score of the held-out families alone, or of the others."""
        return Score(self.results.filter(pl.col("held_out") == held_out))


def pass_at_1(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    tasks: Sequence[Exercise],
    style: str = "chat",
    *,
    num_tokens: int = NUM_TOKENS,
    batch_size: int = 64,
    limits: Limits | None = None,
) -> Score:
    """Each task asked once, answered greedily, run against its cases.

    style: 'chat' asks in ChatML, 'completion' gives header and docstring to go on from, as a model without
    instruction tuning needs it. Raises ConfigError when there is no task, or one does not fit into the context.
    """
    if not tasks:
        raise ConfigError("There is no task to score. Draw some with exercises.draw(num, seed, split='test').")
    if style not in STYLES:
        raise ConfigError(f"style={style!r} is none of {', '.join(STYLES)}.")
    prompts = [prompt_ids(task, tokenizer, style) for task in tasks]
    replies = generate(model, prompts, num_tokens, stop_ids(tokenizer, style), batch_size)
    texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids in replies]
    extract = program_of_chat if style == "chat" else program_of_completion
    programs = [extract(text, task) for text, task in zip(texts, tasks, strict=True)]
    verdicts = run([task.candidate(program) for task, program in zip(tasks, programs, strict=True)], limits)
    rows = [
        (task.exercise_id, task.family, task.kind, task.family in HELD_OUT, text, program, verdict, verdict == "passed")
        for task, text, program, verdict in zip(tasks, texts, programs, verdicts, strict=True)
    ]
    names = ("task", "family", "kind", "held_out", "reply", "program", "verdict", "passed")
    return Score(pl.DataFrame(rows, schema=names, orient="row"))


def prompt_ids(task: Exercise, tokenizer: Tokenizer, style: str) -> list[int]:
    """What the model reads of a task."""
    if style == "chat":
        return chat_ids([{"role": "user", "content": question(task)}], tokenizer, answer_next=True)
    tokenizer.encode_special_tokens = True
    # Packed documents follow an end token, so this one does too.
    return [control_id(tokenizer, END), *tokenizer.encode(completion(task), add_special_tokens=False).ids]


def stop_ids(tokenizer: Tokenizer, style: str) -> set[int]:
    """The tokens at which an answer is over: the end of the turn or the document, or a line that is not indented."""
    stop = {control_id(tokenizer, END)}
    if style == "chat":
        return stop | {control_id(tokenizer, STOP)}
    texts = {token: tokenizer.decode([token]) for token in range(tokenizer.get_vocab_size())}
    return stop | {token for token, text in texts.items() if text.endswith("\n") and not text.strip()}


def program_of_chat(reply: str, task: Exercise) -> str:
    """The program in a reply: the first fenced block, else the reply as it is."""
    block = FENCE.search(reply)
    return (block.group(1) if block else reply).strip("\n") + "\n"


def program_of_completion(reply: str, task: Exercise) -> str:
    """The start that was given, and the indented lines that the reply goes on with."""
    kept = []
    for line in reply.split("\n"):
        if kept and line.strip() and not line.startswith((" ", "\t")):
            break
        kept.append(line)
    return completion(task) + "\n".join(kept).rstrip() + "\n"


def score_functions(
    model: PreTrainedModel, tokenizer: Tokenizer, *, num_tasks: int = 144, seed: int = 0, style: str = "completion"
) -> dict[str, float]:
    """pass@1 of seen and of held-out families by name: what an experiment asks after each run.

    num_tasks: of the seen families; a third as many of the held-out ones. The tasks depend on the seed alone.
    """
    tasks = [
        *draw(num_tasks, seed, "test"),
        *draw(max(1, num_tasks // 3), seed, "test", held_out_families()),
    ]
    score = pass_at_1(model, tokenizer, tasks, style)
    return {
        "pass_at_1_seen": score.where(held_out=False).share,
        "pass_at_1_held_out": score.where(held_out=True).share,
    }


def scorer(num_tasks: int = 144, seed: int = 0, style: str = "completion") -> partial:
    """`score(model, tokenizer) -> {name: number}` for a grid of runs; it can be pickled."""
    return partial(score_functions, num_tasks=num_tasks, seed=seed, style=style)
