"""How widely the files of a pool are spread in an encoder's space, and whether famous projects are spread less.

Numbers of a cloud depend on how many points it has, so every cloud that is compared has equally many files. The famous
projects are set beside many draws of as many projects with about as many bytes: a pool of few projects is narrow, and
the question is whether one of famous projects is narrower than that. Axes: N files, H hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from opencoder_lib import seeds
from opencoder_lib.ablations.pools import Corpus
from opencoder_lib.ablations.stars import random_like, top
from opencoder_lib.errors import InputError
from opencoder_lib.files import in_hash_order
from opencoder_lib.intervals import percentile_interval

FEWEST = 10
MEASURES = ("distance", "dimensions")
NUM_SUBSETS = 500


@dataclass(frozen=True)
class Diversity:
    """What `compare` found.

    table: a row each for the famous projects, all projects and the random draws, with mean, low and high of both
    measures, over subsets of files, or over draws. draws: both measures of every random draw. num_files: the files of
    every cloud. frac_narrower: measure -> the share of draws that are no wider than the famous projects.
    """

    table: pl.DataFrame
    draws: pl.DataFrame
    num_files: int
    frac_narrower: dict[str, float]


def sample(corpus: Corpus, num_files: int, seed: int) -> pl.DataFrame:
    """The beginnings of `num_files` kept training files, drawn by a hash of the id: doc_id, repo, text."""
    heads = corpus.kept.unique("doc_id", keep="first", maintain_order=True)
    return in_hash_order(heads, f"diversity {seed}").head(num_files).select("doc_id", "repo", "text")


def distance(vectors_NH: np.ndarray) -> float:
    """The mean Euclidean distance of the files from their own centroid."""
    return float(np.linalg.norm(vectors_NH - vectors_NH.mean(0), axis=1).mean())


def dimensions(vectors_NH: np.ndarray) -> float:
    """In how many directions the cloud extends: the participation ratio of its covariance, from 1 to N - 1.

    The squared sum of the eigenvalues over the sum of their squares: k for equal variance along k directions.
    """
    centred = vectors_NH - vectors_NH.mean(0, dtype=np.float64)
    # The Gram matrix has the eigenvalues of the covariance, up to a factor that cancels.
    gram_NN = centred @ centred.T
    return float(np.trace(gram_NN) ** 2 / (gram_NN**2).sum())


def compare(
    files: pl.DataFrame,
    vectors_NH: np.ndarray,
    ranked: pl.DataFrame,
    share: float,
    seed: int,
    num_draws: int = 200,
) -> Diversity:
    """The top `share` of repositories beside all of them and beside random draws of as many with as many bytes.

    files: from `sample`, a row a vector. ranked: from `stars.in_training`. Each cloud has half as many files as the
    sample has of the famous projects: halves drawn over and over then scatter about as far as the whole sample would.
    A draw with fewer files is left out. Raises InputError when a cloud would have fewer than FEWEST files.
    """
    chosen = top(ranked, share)
    repos = files["repo"].to_numpy()
    places = {"famous": np.flatnonzero(np.isin(repos, chosen)), "all": np.arange(len(repos))}
    count = len(places["famous"]) // 2
    if count < FEWEST:
        raise InputError(
            f"The sample of {len(repos)} files has {len(places['famous'])} of the {len(chosen)} most popular "
            f"repositories; at least {2 * FEWEST} are needed. Draw more files or take a larger share."
        )
    random = seeds.rng(seed, "diversity")
    drawn = [np.flatnonzero(np.isin(repos, random_like(ranked, chosen, draw, 50))) for draw in range(num_draws)]
    clouds = {name: [_some(random, here, count) for _ in range(NUM_SUBSETS)] for name, here in places.items()}
    clouds["random"] = [_some(random, here, count) for here in drawn if len(here) >= count]
    if not clouds["random"]:
        raise InputError(f"No random draw of {len(chosen)} repositories has {count} files. Draw more files.")
    measured = {name: _measure(vectors_NH, subsets) for name, subsets in clouds.items()}
    rows = [_row(name, frame) for name, frame in measured.items()]
    famous = rows[0]
    return Diversity(
        pl.DataFrame(rows),
        measured["random"],
        count,
        {name: float((measured["random"][name] <= famous[name]).mean()) for name in MEASURES},
    )


def _some(random: np.random.Generator, here: np.ndarray, count: int) -> np.ndarray:
    return random.choice(here, count, replace=False)


def _measure(vectors_NH: np.ndarray, subsets: Sequence[np.ndarray]) -> pl.DataFrame:
    rows = [(distance(vectors_NH[subset]), dimensions(vectors_NH[subset])) for subset in subsets]
    return pl.DataFrame(rows, schema=dict.fromkeys(MEASURES, pl.Float64), orient="row")


def _row(name: str, measured: pl.DataFrame) -> dict[str, str | int | float]:
    row = {"projects": name, "clouds": measured.height}
    for measure in MEASURES:
        low, high = percentile_interval(measured[measure].to_numpy())
        row |= {measure: float(measured[measure].mean()), f"{measure}_low": low, f"{measure}_high": high}
    return row
