"""Ablation: what the algorithmic and synthetic part of the annealing mixture does (paper sections 2.2 and 6.2).

All arms of a seed share one trunk, trained on the original distribution up to the decay; each arm is the decay on its
own mixture, with equal tokens. Two kinds of arms are controls. One has the same mixture, but every synthetic function
carries the body of another exercise: format without the right algorithms. The other fills the synthetic share with more
documented functions of the corpus: documentation without exercises.
Axes: D exercises, T positions, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl
import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from opencoder_lib.ablations.experiment import Design
from opencoder_lib.ablations.pools import Corpus, divide, draw
from opencoder_lib.errors import ConfigError, InputError
from opencoder_lib.evaluate.functions import score_functions
from opencoder_lib.exercises import FAMILIES, Exercise, held_out_families, seen_families
from opencoder_lib.exercises import draw as draw_exercises
from opencoder_lib.exercises.family import pick
from opencoder_lib.exercises.render import completion, page, snippet
from opencoder_lib.files import real, remaining
from opencoder_lib.paper import fact
from opencoder_lib.refine.algorithmic import documented_functions, keyword_hits
from opencoder_lib.seeds import rng, stream_seed
from opencoder_lib.train.arms import Setting
from opencoder_lib.train.model import Shape, find_shape
from opencoder_lib.train.tokenizer import END, encode

NAME = "annealing-data"
ORIGINAL, ALGORITHMIC, SNIPPETS, TEXTBOOKS = "original", "algorithmic", "snippets", "textbooks"
WRONG_SNIPPETS, WRONG_TEXTBOOKS = "snippets with wrong bodies", "textbooks with wrong bodies"
PAPER = {name: fact(f"anneal.frac_{name}").value for name in (ORIGINAL, ALGORITHMIC, SNIPPETS, TEXTBOOKS)}
ONLY, FULL, FORMAT = "original only", "full mixture", "format only (control)"
DOCUMENTED, HEAVY = "documented only (control)", "60/20/20"
HEAVY_FORMAT = "60/20/20 format only (control)"
# What each mixture with right bodies is compared with, to see what these add.
CONTROLS = {FULL: FORMAT, HEAVY: HEAVY_FORMAT}
SYNTHETIC = PAPER[SNIPPETS] + PAPER[TEXTBOOKS]
# A share of synthetic text that a small model can learn something from, divided as the paper divides its own.
MORE = {name: 0.2 * PAPER[name] / SYNTHETIC for name in (SNIPPETS, TEXTBOOKS)}
WRONG = {SNIPPETS: WRONG_SNIPPETS, TEXTBOOKS: WRONG_TEXTBOOKS}
ARMS: dict[str, dict[str, float]] = {
    ONLY: {ORIGINAL: 1.0},
    FULL: PAPER,
    FORMAT: {WRONG.get(name, name): weight for name, weight in PAPER.items()},
    DOCUMENTED: {ORIGINAL: PAPER[ORIGINAL], ALGORITHMIC: PAPER[ALGORITHMIC] + SYNTHETIC},
    HEAVY: {ORIGINAL: 0.6, ALGORITHMIC: 0.2, **MORE},
    HEAVY_FORMAT: {ORIGINAL: 0.6, ALGORITHMIC: 0.2, **{WRONG[name]: weight for name, weight in MORE.items()}},
}
GENERAL, FUNCTIONS = "general code", "documented functions"
SHOWN, NEVER_SHOWN = "exercises, families shown", "exercises, families never shown"
# Of each held-out repository, so that no large project decides what documented functions cost.
FUNCTION_BYTES = 4_000
TASKS_SHOWN, TASKS_NEVER_SHOWN = 72, 40
# A guess from below, so that drawing once is mostly enough.
TOKENS_PER_EXERCISE = 80
# The families have no end of constants, but drawing them takes time; a longer run reads these again.
MOST_EXERCISES = 4_096
# How far paired differences of the full mixture scattered on exercises of families never shown: study, n = 8. The toy
# profile's shorter decay scattered less (0.01).
PAIRED_SD = 0.05


def design(corpus: Corpus, files: pl.DataFrame, setting: Setting, seeds: Sequence[int], num_tasks: int = 96) -> Design:
    """The whole experiment with all arms; `Design.only` takes some of them.

    corpus: from `pools.divide(files, ...)`, which says who is held out. files: the same file frame, of which the
    algorithmic corpus and the functions are taken whole. setting: from `setting`. num_tasks: exercises of shown
    families that each trained model is asked to write, for pass@1. Original pieces and exercises are drawn anew
    for each seed. about: `stand_in` (whether functions stand in for the keywords' corpus), `algorithmic` (what that
    source holds), `functions` (the held-out ones). Raises InputError when the corpus has no functions for either.
    """
    seen, unseen = (split.sort("doc_id") for split in divided(files, corpus))
    functions = held_out_functions(unseen, seen)
    own = {name: share * setting.tokens_after_trunk for name, share in most_of_each().items()}
    algorithmic, stand_in = algorithmic_corpus(seen, own[ALGORITHMIC], corpus.tokenizer)
    original = setting.tokens + setting.shape.context + 1
    exercises = {
        seed: {
            name: exercises_for(own[name] + setting.shape.context + 1, seed, name, render, corpus.tokenizer)
            for name, render in ((SNIPPETS, snippet), (TEXTBOOKS, page))
        }
        for seed in seeds
    }
    return Design(
        name=NAME,
        question="Does a decay on algorithmic and synthetic text make a better model than one on the original text?",
        setting=setting,
        tokenizer=corpus.tokenizer,
        sources={
            ORIGINAL: {
                seed: draw(corpus.kept, original, corpus.tokenizer, f"draw {seed}")["text"].to_list() for seed in seeds
            },
            ALGORITHMIC: algorithmic["text"].to_list(),
            SNIPPETS: {seed: list(map(snippet, exercises[seed][SNIPPETS])) for seed in seeds},
            TEXTBOOKS: {seed: list(map(page, exercises[seed][TEXTBOOKS])) for seed in seeds},
            WRONG_SNIPPETS: {seed: with_wrong_bodies(exercises[seed][SNIPPETS], snippet, seed) for seed in seeds},
            WRONG_TEXTBOOKS: {seed: with_wrong_bodies(exercises[seed][TEXTBOOKS], page, seed) for seed in seeds},
        },
        arms=ARMS,
        baseline=ONLY,
        control=FORMAT,
        controls={arm: [its_control] for arm, its_control in CONTROLS.items()},
        held_out={
            GENERAL: (corpus.held_out_kept["text"].to_list(), corpus.held_out_kept["repo"].to_list()),
            FUNCTIONS: (functions["text"].to_list(), functions["repo"].to_list()),
            SHOWN: held_out_exercises(TASKS_SHOWN, seen_families()),
            NEVER_SHOWN: held_out_exercises(TASKS_NEVER_SHOWN, held_out_families()),
        },
        metric=NEVER_SHOWN,
        paired_sd=PAIRED_SD,
        score=Judge(num_tasks),
        score_key=f"functions and answers, {num_tasks} tasks",
        about={
            "stand_in": stand_in,
            "algorithmic": describe(algorithmic),
            "functions": describe(functions),
        },
    )


def setting(shape: Shape, num_trunk: int, num_decay: int, **given) -> Setting:
    """How each run is trained: a trunk of `num_trunk` steps, a decay of `num_decay`, two looks on the way down."""
    num_steps = num_trunk + num_decay
    return Setting(
        shape,
        num_steps,
        frac_warmup=min(20, num_trunk) / num_steps,
        frac_decay=num_decay / num_steps,
        evaluate_every=max(1, num_decay // 2),
        trunk=ORIGINAL,
        **given,
    )


def order(corpus, seeds: Sequence[int]) -> Design:
    """What `opencoder ablate annealing-data` runs: all arms on the corpus as chapter 06 left it, a model that can learn
    to write functions, and a decay that is long enough for it."""
    files, shape = corpus.after("06-sampling"), find_shape("tasks")
    return design(divide(files, shape.vocab), files, setting(shape, num_trunk=320, num_decay=480), seeds)


def divided(files: pl.DataFrame, corpus: Corpus) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(seen, unseen): the files still in of the repositories that are trained on, and of those held out."""
    here = remaining(real(files)).filter(pl.col("language") == corpus.language)
    parts = (corpus.kept, corpus.held_out_kept)
    return tuple(here.filter(pl.col("repo").is_in(part["repo"].unique().to_list())) for part in parts)


def most_of_each() -> dict[str, float]:
    """The largest share that any arm gives to each source: what must be there so that little is read twice."""
    return {
        name: max(weights.get(name, 0.0) for weights in ARMS.values()) for weights in ARMS.values() for name in weights
    }


def algorithmic_corpus(seen: pl.DataFrame, num_tokens: float, tokenizer: Tokenizer) -> tuple[pl.DataFrame, bool]:
    """What is read as the algorithmic corpus, and whether it is the stand-in.

    Files with a keyword of the paper when they hold `num_tokens` tokens together; else the documented, self-contained
    functions of the seen files. Raises InputError when there is none of these either.
    """
    found = keyword_hits(seen)
    if found.height and count_tokens(found["text"].to_list(), tokenizer) >= num_tokens:
        return found, False
    functions = documented_functions(seen)
    if functions.is_empty():
        raise InputError(
            f"{found.height} of {seen.height:,} files have a keyword of the algorithmic corpus, too little for "
            f"{num_tokens:,.0f} tokens, and no documented, self-contained function stands in for them. Take a larger "
            "corpus."
        )
    return functions, True


def count_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> int:
    """Tokens of these texts as they are packed: an end token follows each."""
    return sum(len(ids) + 1 for ids in encode(list(texts), tokenizer))


def held_out_functions(unseen: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """Documented functions of unseen repositories, none of which is part of a seen file; of each FUNCTION_BYTES."""
    functions = documented_functions(unseen, self_contained=False, max_bytes=FUNCTION_BYTES)
    if functions.height:
        # Projects carry code of each other; a copy in training would turn the score into one of memory.
        copied = seen.select(pl.col("text").str.extract_many(functions["text"].to_list(), overlapping=True).explode())
        functions = functions.filter(~pl.col("text").is_in(copied["text"].drop_nulls().implode()))
    if functions.is_empty():
        raise InputError(f"{unseen.height:,} held-out files have no documented function. Hold out more repositories.")
    before = pl.col("n_bytes").cum_sum().over("repo") - pl.col("n_bytes")
    return functions.filter(before < FUNCTION_BYTES).sort("repo", maintain_order=True)


def held_out_exercises(num: int, families: Sequence[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Snippets of exercises that training cannot draw, and the family of each."""
    asked = draw_exercises(num, seed, "test", families)
    return [snippet(exercise) for exercise in asked], [exercise.family for exercise in asked]


def exercises_for(
    num_tokens: float, seed: int, what: str, render: Callable[[Exercise], str], tokenizer: Tokenizer
) -> list[Exercise]:
    """Training exercises whose texts hold `num_tokens` tokens, or MOST_EXERCISES of them, drawn for (seed, what)."""
    number, stream = 8 + math.ceil(num_tokens / TOKENS_PER_EXERCISE), stream_seed(seed, "annealing", what)
    while True:
        number = min(number, MOST_EXERCISES)
        found = draw_exercises(number, stream)
        if number == MOST_EXERCISES or count_tokens([render(one) for one in found], tokenizer) >= num_tokens:
            return found
        number *= 2


def with_wrong_bodies(exercises: Sequence[Exercise], render: Callable[[Exercise], str], seed: int) -> list[str]:
    """The texts of these exercises, but every function returns what an exercise of another family would.

    Name, parameters, task, asserts and prose stay, so everything is right about the text except what is computed: at
    least one of its asserts fails. The other family takes parameters of the same kinds and is one that training shows.
    """
    return [_with_wrong_body(exercise, render(exercise), seed) for exercise in exercises]


def _with_wrong_body(exercise: Exercise, text: str, seed: int) -> str:
    random = rng(seed, "wrong body", exercise.exercise_id)
    params = FAMILIES[exercise.family].params
    others = [name for name in seen_families() if name != exercise.family and FAMILIES[name].params == params]
    while others:
        other = FAMILIES[others.pop(int(random.integers(len(others))))]
        constants = pick(random, other.choices())
        if any(other.answer(*case.args, **constants) != case.expected for case in exercise.cases):
            words = {"p": exercise.params[0], "q": exercise.params[-1], "i": "x", **constants}
            return text.replace(f"return {exercise.body}", f"return {other.body.format_map(words)}")
    raise ConfigError(
        f"No other family takes {', '.join(params)}, so {exercise.family!r} cannot be given a wrong body."
    )


def describe(functions: pl.DataFrame) -> dict[str, int]:
    """Texts, repositories and bytes of a source."""
    sizes = functions["text"].str.len_bytes()
    return {"texts": functions.height, "repositories": functions["repo"].n_unique(), "n_bytes": int(sizes.sum())}


@dataclass(frozen=True)
class Judge:
    """What each trained model is asked besides held-out texts; can be pickled.

    num_tasks: exercises of shown families to be written; a third as many of the others.
    """

    num_tasks: int

    def __call__(self, model: PreTrainedModel, tokenizer: Tokenizer) -> dict[str, float]:
        """pass@1 of both kinds of families, and `answer_bits_seen`, `answer_bits_held_out`: bits per byte of the body.

        The body is scored given header and task. There the format is given, so what is left is the algorithm.
        """
        shown = draw_exercises(TASKS_SHOWN, 0, "test")
        never = draw_exercises(TASKS_NEVER_SHOWN, 0, "test", held_out_families())
        return score_functions(model, tokenizer, num_tasks=self.num_tasks) | {
            "answer_bits_seen": answer_bits(model, tokenizer, shown),
            "answer_bits_held_out": answer_bits(model, tokenizer, never),
        }


@torch.inference_mode()
def answer_bits(model: PreTrainedModel, tokenizer: Tokenizer, exercises: Sequence[Exercise]) -> float:
    """Bits per byte of the bodies of these exercises, each given the function's header, its task and `return`."""
    device, nats, n_bytes = next(model.parameters()).device, 0.0, 0
    for exercise in exercises:
        answer = f" {exercise.body}\n"
        given, asked = encode([f"{completion(exercise)}\n    return", answer], tokenizer)
        ids_1T = torch.tensor([[tokenizer.token_to_id(END), *given, *asked]], device=device)
        logits_TV = model(input_ids=ids_1T[:, :-1]).logits[0, -len(asked) :].float()
        nats += float(cross_entropy(logits_TV, ids_1T[0, -len(asked) :], reduction="sum"))
        n_bytes += len(answer.encode())
    return nats / math.log(2) / n_bytes
