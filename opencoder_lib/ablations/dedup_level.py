"""Ablation: does it matter at which level a corpus is deduplicated (paper section 6.1 and appendix B)?

Every seed draws its own files, plants its own forks among them and deduplicates them with our own exact and MinHash
stages; the arms are what each level leaves. All arms of a seed start from the same weights, read the same number of
tokens and are scored on the same files of other projects. Two further arms are controls: one has as many bytes as
repository level leaves, with the same comments added, but no file twice; one has as little distinct text as the
repository arm reads, but in equal passes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from tokenizers import Tokenizer

from opencoder_lib.ablations import experiment
from opencoder_lib.ablations.dedup_pools import (
    DISTINCT,
    LEVELS,
    NONE,
    ORIGINALS,
    REPEATED,
    Recipe,
    deduplicate,
    draw_originals,
    pools,
    split_projects,
)
from opencoder_lib.ablations.forks import judge, make_forks, score_forks
from opencoder_lib.ablations.pools import setting as with_four_looks
from opencoder_lib.errors import ConfigError, did_you_mean
from opencoder_lib.files import in_hash_order
from opencoder_lib.refine.levels import CHUNK, FILE, REPO, REPO_CHUNK
from opencoder_lib.train.arms import Bench, Setting
from opencoder_lib.train.model import find_shape
from opencoder_lib.train.tokenizer import encode, train_tokenizer

NAME, HELD_OUT = "dedup-level", "other projects"
ARMS = {
    FILE: "one file of each family of near-duplicates",
    REPO: "one repository of each family of near-duplicates",
    DISTINCT: "about as many files and bytes as repository level leaves, the same comments, each of another original",
    REPO_CHUNK: "what repository level leaves, without repeated chunks",
    CHUNK: "without repeated chunks",
    NONE: "all forks",
    ORIGINALS: "what file level would leave if it missed no copy",
    REPEATED: "as little distinct text as the repository arm reads, in equal passes",
}
# How far repository minus file level scattered over the eight seeds of the study; the control scattered by 0.012.
PAIRED_SD = 0.04
# What is held against what where a level is judged by the planted truth.
KINDS = {FILE: "family", REPO: "repo_family"}
SAMPLE_FILES, TOKENIZER_BYTES = 200, 4_000_000


def design(
    files: pl.DataFrame,
    seeds: Sequence[int],
    setting: Setting,
    arms: Sequence[str] = (FILE, REPO, DISTINCT),
    recipe: Recipe | None = None,
    seed: int = 0,
    tokenizer: Tokenizer | None = None,
) -> experiment.Design:
    """The whole experiment, ready for `experiment.run`.

    files: a corpus; its real Python files with a repository take part. seed: draws the held-out projects, which all
    `seeds` share. tokenizer: by default one is trained on files to learn from, the same for all arms and seeds.
    about: `split` (seen and unseen files), `pools` (a row an arm and seed), `recall` (a row a level and seed: planted,
    found, precision, recall), `judged` (the same by kind of copy).
    """
    recipe = recipe or Recipe()
    if unknown := [arm for arm in arms if arm not in ARMS]:
        raise ConfigError(f"{NAME} has no arm {unknown[0]!r}.{did_you_mean(unknown[0], ARMS)}")
    arms = [arm for arm in ARMS if arm in {*arms, FILE, DISTINCT}]
    seen, unseen = split_projects(files, seed, recipe)
    tokenizer = tokenizer or learn_tokenizer(seen, setting.shape.vocab)
    n_bytes = setting.tokens * bytes_per_token(seen, tokenizer)
    sources: dict[str, dict[int, list[str]]] = {arm: {} for arm in arms}
    tables: dict[str, list[pl.DataFrame]] = {"pools": [], "recall": [], "judged": []}
    for one in seeds:
        originals, spare = draw_originals(seen, n_bytes / recipe.passes, one)
        forked = make_forks(originals, one, recipe.forks)
        after = {level: deduplicate(forked, level, recipe, one) for level in LEVELS if level in {*arms, FILE, REPO}}
        made = pools(after, spare, arms, n_bytes, one)
        for arm, documents in made.items():
            sources[arm][one] = documents["text"].to_list()
        for name, table in (describe_recall(after) | {"pools": describe_pools(made)}).items():
            tables[name].append(table.select(pl.lit(one).alias("seed"), pl.all()))
    return experiment.Design(
        name=NAME,
        question="At equal tokens, does a corpus without repeated files make a better model than one without repeated "
        "repositories?",
        setting=setting,
        tokenizer=tokenizer,
        sources=sources,
        arms={arm: {arm: 1.0} for arm in arms},
        baseline=FILE,
        control=DISTINCT,
        held_out={HELD_OUT: (unseen["text"].to_list(), unseen["repo"].to_list())},
        metric=HELD_OUT,
        paired_sd=PAIRED_SD,
        about={"split": describe_split(seen, unseen)} | {name: pl.concat(rows) for name, rows in tables.items()},
    )


def order(corpus, seeds: Sequence[int]) -> experiment.Design:
    """What `opencoder ablate dedup-level` runs: every arm, on the corpus as chapter 06 left it."""
    return design(corpus.after("06-sampling"), seeds, study(), tuple(ARMS))


def study(shape_name: str = "micro", num_steps: int = 240, **given) -> Setting:
    """How each run is trained: four looks at the held-out texts on the way; other settings as given."""
    return with_four_looks(find_shape(shape_name), num_steps, **given)


def learn_tokenizer(seen: pl.DataFrame, vocab_size: int) -> Tokenizer:
    """A tokenizer trained on the first files in the order of a hash, at most TOKENIZER_BYTES of them."""
    ordered = in_hash_order(seen, "tokenizer")
    few = ordered.filter(ordered["n_bytes"].cum_sum() <= TOKENIZER_BYTES)
    return train_tokenizer(few["text"].to_list(), vocab_size)


def bytes_per_token(files: pl.DataFrame, tokenizer: Tokenizer) -> float:
    """Bytes of text for each token, counted on a sample of the files."""
    texts = in_hash_order(files, "bytes per token").head(SAMPLE_FILES)["text"].to_list()
    # One more for the end token of each.
    num_tokens = sum(len(ids) + 1 for ids in encode(texts, tokenizer))
    return sum(len(text.encode()) for text in texts) / num_tokens


def describe_split(seen: pl.DataFrame, unseen: pl.DataFrame) -> pl.DataFrame:
    """One row a part: files, repositories, bytes."""
    parts = {"to learn from": seen, "to score on": unseen}
    rows = [(name, part.height, part["repo"].n_unique(), int(part["n_bytes"].sum())) for name, part in parts.items()]
    return pl.DataFrame(rows, schema=["part", "files", "repositories", "n_bytes"], orient="row")


def describe_pools(made: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row an arm: documents, bytes, and bytes over those of the file level."""
    sizes = {arm: int(documents["text"].str.len_bytes().sum()) for arm, documents in made.items()}
    rows = [(arm, documents.height, sizes[arm], sizes[arm] / sizes[FILE]) for arm, documents in made.items()]
    return pl.DataFrame(rows, schema=["arm", "documents", "n_bytes", "times_file"], orient="row")


def describe_recall(after: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """`recall`: a row for the level of files and for that of repositories; `judged`: a row a kind of copy."""
    scores = [{"deduplicated": level} | score_forks(after[level], kind) for level, kind in KINDS.items()]
    judged = [
        judge(after[level], kind).select(pl.lit(level).alias("deduplicated"), pl.all()) for level, kind in KINDS.items()
    ]
    return {"recall": pl.DataFrame(scores), "judged": pl.concat(judged)}


def distinct_runs(bench: Bench, arms: Sequence[str], seeds: Sequence[int], length: int = 16) -> pl.DataFrame:
    """What the runs really read: arm, seed, frac_distinct.

    frac_distinct: of all runs of `length` tokens within the windows that an arm reads, the share that are different. It
    needs no training, only the order of the windows.
    """
    context, setting = bench.setting.shape.context, bench.setting
    places = np.arange(setting.tokens // context)
    rows = []
    for arm in arms:
        for seed in seeds:
            windows = bench.data(arm, seed).windows(places, seed, context)[:, :-1]
            rows.append({"arm": arm, "seed": seed, "frac_distinct": frac_distinct(windows, length)})
    return pl.DataFrame(rows)


def frac_distinct(tokens_WT: np.ndarray, length: int) -> float:
    """Of all runs of `length` tokens within the rows of (W, T) tokens, the share that are different."""
    runs_WN = np.lib.stride_tricks.sliding_window_view(tokens_WT.astype(np.uint64), length, axis=1)
    # A hash of 64 bits: a billion different runs would collide about three times in a hundred.
    with np.errstate(over="ignore"):
        factors = np.uint64(0x9E3779B97F4A7C15) ** np.arange(length, dtype=np.uint64)
        hashes = (runs_WN + np.uint64(1)) @ factors
    return np.unique(hashes).size / hashes.size
