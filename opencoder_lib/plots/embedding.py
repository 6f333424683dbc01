"""Maps of a corpus: where its files lie, and which of them lie far out."""

import numpy as np
import polars as pl
from matplotlib.patches import Ellipse

from opencoder_lib.files import stage_of
from opencoder_lib.plots.style import BLUE, GREEN, GREY, ORANGE, SKY, STAGE_COLOUR, new_figure

STAGE_MARKER = {"exact": "s", "fuzzy": "^", "transform": "P", "filter": "D", "sample": "v"}
KIND_LOOK = ((BLUE, ""), (ORANGE, "//"), (GREEN, ".."), (SKY, "xx"))


def raw_beside_refined(points: pl.DataFrame, limit: float, explained: list[float]):
    """Two maps on the same axes: raw files marked by the stage that removes them, and the refined files.

    points: columns corpus, x, y, distance, removed_by. limit: the distance of the drawn ellipse, beyond which a file
    is an outlier. explained: shares of variance of the two axes.
    """
    figure, axes = new_figure(1, 2, width=8.6, height=4.4, sharex=True, sharey=True)
    counts = {}
    for ax, corpus in zip(axes, ("raw", "refined"), strict=True):
        here = points.filter(pl.col("corpus") == corpus).with_columns(stage=stage_of())
        for stage in (name for name in STAGE_MARKER if name in here["stage"].to_list()):
            gone = here.filter(pl.col("stage") == stage)
            colour, marker = STAGE_COLOUR[stage], STAGE_MARKER[stage]
            ax.scatter(
                gone["x"],
                gone["y"],
                s=13,
                marker=marker,
                facecolors="none",
                edgecolors=colour,
                linewidths=0.7,
                alpha=0.8,
            )
            ax.scatter([], [], s=24, marker=marker, facecolors="none", edgecolors=colour, label=f"removed by {stage}")
        kept = here.filter(pl.col("stage").is_null())
        ax.scatter(kept["x"], kept["y"], s=9, marker="o", color=BLUE, alpha=0.6, linewidths=0, label="kept")
        counts[corpus] = (here.height, int((here["distance"] > limit).sum()))
        ax.add_patch(_ellipse(points, limit))
        ax.set_title(f"{corpus}: {counts[corpus][1]} of {here.height} files outside")
        ax.set_xlabel(f"first component ({100 * explained[0]:.1f} % of variance)")
    axes[0].set_ylabel(f"second component ({100 * explained[1]:.1f} % of variance)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    alt = (
        "Two scatter plots on the same axes, the first two principal components of the embeddings. Left the raw files, "
        f"{counts['raw'][1]} of {counts['raw'][0]} outside an ellipse of {limit:g} standard deviations; right the "
        f"refined files, {counts['refined'][1]} of {counts['refined'][0]} outside it."
    )
    return figure, alt


def _ellipse(points: pl.DataFrame, limit: float) -> Ellipse:
    xy = points.select("x", "y").to_numpy()
    values, vectors = np.linalg.eigh(np.cov(xy, rowvar=False))
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    width, height = 2 * limit * np.sqrt(values[[1, 0]])
    return Ellipse(xy.mean(0), width, height, angle=angle, fill=False, edgecolor=GREY, linestyle="--", linewidth=1.2)


def outlier_kinds(table: pl.DataFrame):
    """What the outliers are: for raw and refined, the share of the corpus that is an outlier of each kind, stacked.

    table: as from outliers_by_kind.
    """
    figure, ax = new_figure(width=7.2, height=2.6)
    corpora = table["corpus"].unique(maintain_order=True).to_list()
    left = np.zeros(len(corpora))
    for (colour, hatch), kind in zip(KIND_LOOK, table["kind"].unique(maintain_order=True), strict=False):
        share = 100 * table.filter(pl.col("kind") == kind)["frac_of_corpus"].to_numpy()
        ax.barh(corpora, share, left=left, color=colour, hatch=hatch, edgecolor=GREY, height=0.6, label=kind)
        left += share
    ax.invert_yaxis()
    ax.set_xlim(0, max(1.0, 1.1 * left.max()))
    ax.set_xlabel("outliers (% of the corpus' files)")
    figure.legend(loc="outside lower center", ncols=4)
    told = "; ".join(f"{corpus} {total:.1f} %" for corpus, total in zip(corpora, left, strict=True))
    return figure, f"Stacked bars of the share of files that are outliers, by what the files look like: {told}."


def falls(readings: pl.DataFrame):
    """The fall in the share of outliers from raw to refined, with its interval, one row a way of reading the files.

    readings: columns measure, fall, low, high (shares).
    """
    figure, ax = new_figure(width=7.2, height=1.1 + 0.45 * readings.height)
    places = np.arange(readings.height)
    fall, low, high = (100 * readings[name].to_numpy() for name in ("fall", "low", "high"))
    ax.axvline(0, color=GREY, linewidth=1)
    ax.errorbar(fall, places, xerr=[fall - low, high - fall], fmt="o", color=BLUE, capsize=4)
    ax.set_yticks(places, readings["measure"])
    ax.set_ylim(readings.height - 0.5, -0.5)
    ax.set_xlabel("outliers in raw minus refined (percentage points)")
    told = "; ".join(
        f"{name} {mid:.1f} ({start:.1f} to {stop:.1f})"
        for name, mid, start, stop in zip(readings["measure"], fall, low, high, strict=True)
    )
    return figure, f"Dots with intervals, the fall in the share of outliers in percentage points: {told}."
