"""Figures of the filter: what each rule hits, what another threshold would, and what is left of each language."""

import polars as pl
from matplotlib.ticker import PercentFormatter

from opencoder_lib import MB
from opencoder_lib.plots.style import BLUE, GREY, ORANGE, RED, new_figure


def rule_hits(hits: pl.DataFrame, top: int = 20) -> tuple:
    """Bars of the `top` rules by hits: the dark part are files that no other rule hits.

    hits: the frame of `quality.audit.hits_by_rule`.
    """
    shown = hits.filter(pl.col("hits") > 0).sort("hits", "rule", descending=[True, False]).head(top)
    figure, axes = new_figure(height=0.8 + 0.24 * max(shown.height, 1))
    places = range(shown.height)
    shared = shown["hits"] - shown["exclusive"]
    axes.barh(places, shown["exclusive"], color=RED, height=0.7, label="no other rule holds")
    axes.barh(
        places, shared, left=shown["exclusive"], color=RED, alpha=0.25, hatch="////", edgecolor=GREY, height=0.7,
        label="another rule holds too",
    )  # fmt: skip
    for place, row in enumerate(shown.iter_rows(named=True)):
        text = f"{row['hits']:,} ({row['exclusive']:,})"
        axes.annotate(text, (row["hits"], place), xytext=(4, 0), textcoords="offset points", va="center", size=8)
    axes.set_yticks(places, shown["rule"], size=8)
    axes.invert_yaxis()
    axes.set(xlabel="files hit (of them by this rule alone)", xlim=(0, 1.18 * (shown["hits"].max() or 1)))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    listed = "; ".join(
        f"{row['rule']} {row['hits']:,}, {row['exclusive']:,} alone" for row in shown.iter_rows(named=True)
    )
    return figure, f"Bar chart of files hit per rule, and by that rule alone. {listed}."


def what_if(curve: pl.DataFrame, rule: str, threshold: float, signal: str) -> tuple:
    """Share of files a rule hits, and hits alone, against its threshold; the threshold in force is drawn.

    curve: the frame of `quality.audit.what_if`, in order of the threshold.
    """
    alone = curve["exclusive"] / curve["files"]
    figure, axes = new_figure(height=3.4)
    axes.plot(curve["threshold"], curve["frac_files_hit"], "o-", color=BLUE, label=f"hit by {rule}")
    axes.plot(curve["threshold"], alone, "s--", color=ORANGE, label="hit by no other rule")
    _mark_threshold(axes, threshold)
    axes.set(xlabel=f"threshold on {signal}", ylabel="share of judged files", ylim=(0, None), xlim=(0, None))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend()
    first, last = curve.row(0, named=True), curve.row(-1, named=True)
    alt = (
        f"Two curves over the threshold of {rule}. Files hit go from {first['frac_files_hit']:.1%} at "
        f"{first['threshold']:g} to {last['frac_files_hit']:.1%} at {last['threshold']:g}; files hit by no other rule "
        f"from {alone[0]:.1%} to {alone[-1]:.1%}. The threshold in force is {threshold:g}."
    )
    return figure, alt


def distribution(bins: pl.DataFrame, threshold: float, signal: str) -> tuple:
    """Histogram of a signal with the threshold drawn; bars of removed files are hatched. The last bin is open.

    bins: the frame of `quality.audit.distribution`.
    """
    figure, axes = new_figure(height=3.2)
    width = bins["high"] - bins["low"]
    kept = bins["files"] - bins["hits"]
    axes.bar(bins["low"], kept, width, align="edge", color=BLUE, label="not hit")
    axes.bar(
        bins["low"], bins["hits"], width, bottom=kept, align="edge", color=RED, alpha=0.6, hatch="////", edgecolor=GREY,
        label="hit",
    )  # fmt: skip
    _mark_threshold(axes, threshold)
    axes.set(xlabel=signal, ylabel="files", xlim=(0, bins["high"].max()), ylim=(0, None))
    axes.legend()
    total, hit = int(bins["files"].sum()), int(bins["hits"].sum())
    largest = bins.row(int(bins["files"].arg_max() or 0), named=True)
    alt = (
        f"Histogram of {signal} over {total:,} files; {hit:,} lie beyond the threshold {threshold:g}. The fullest bin, "
        f"{largest['low']:.3g} to {largest['high']:.3g}, holds {largest['files']:,}."
    )
    return figure, alt


def _mark_threshold(axes, threshold: float) -> None:
    axes.axvline(threshold, color=GREY, linestyle=":", linewidth=1.6)
    axes.annotate(
        "in force", (threshold, 0.97), xycoords=("data", "axes fraction"), xytext=(4, 0), textcoords="offset points",
        va="top", size=8,
    )  # fmt: skip


def surviving(composed: pl.DataFrame, top: int = 12) -> tuple:
    """Share of bytes that survive the filter by language, beside the paper's where it gives one.

    composed: the frame of `quality.audit.with_reported`; the `top` languages with most bytes are drawn.
    """
    shown = composed.head(top)
    figure, axes = new_figure(height=0.9 + 0.3 * max(shown.height, 1))
    places = list(range(shown.height))
    axes.barh(places, shown["frac_bytes_surviving"], color=RED, alpha=0.75, height=0.65, label="this run")
    reported = [
        (value, place) for place, value in zip(places, shown["frac_reported"], strict=True) if value is not None
    ]
    if reported:
        axes.plot(
            *zip(*reported, strict=True),
            "D",
            color=BLUE,
            markeredgecolor="white",
            label="paper, Table 16",
            linestyle="",
        )
    names = [f"{row['language']} ({row['bytes_before'] / MB:,.1f} MB)" for row in shown.iter_rows(named=True)]
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set(xlabel="share of bytes that the filter leaves", xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    listed = "; ".join(
        f"{row['language']} {row['frac_bytes_surviving']:.1%}"
        + (f" (paper {row['frac_reported']:.1%})" if row["frac_reported"] is not None else "")
        for row in shown.iter_rows(named=True)
    )
    return figure, f"Bar chart of the share of bytes left by the filter, by language: {listed}."
