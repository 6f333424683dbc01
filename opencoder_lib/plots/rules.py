"""Figures of the filter: what each rule hits, what another threshold would, and what is left of each language."""

import numpy as np
import polars as pl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from opencoder_lib import MB
from opencoder_lib.plots.style import BLUE, GREY, ORANGE, RED, new_figure, nothing_to_draw


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


def overlap(pairs: pl.DataFrame) -> tuple:
    """Heat map with numbers: the share of the hits of each rule (row) that another rule (column) hits too.

    pairs: the frame of `quality.audit.overlap`. The diagonal, a rule beside itself, is left empty.
    """
    names = pairs["rule"].unique(maintain_order=True).to_list()
    if len(names) < 2:
        return nothing_to_draw("Fewer than two rules hit anything: there is no overlap to draw.")
    count = len(names)
    share = pairs["frac_both"].to_numpy().reshape(count, count).copy()
    np.fill_diagonal(share, np.nan)
    figure, axes = new_figure(height=1.5 + 0.36 * count)
    # Cells are opaque, so that the numbers in them read on a light and on a dark page.
    colours = LinearSegmentedColormap.from_list("overlap", ["#EAF3F9", BLUE])
    axes.imshow(share, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(share):
        if not np.isnan(value):
            ink = "white" if value > 0.6 else "black"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", size=8, color=ink)
    hits = pairs.unique("rule", keep="first", maintain_order=True)["hits"]
    axes.set_yticks(range(count), [f"{name} ({n:,})" for name, n in zip(names, hits, strict=True)], size=8)
    axes.set_xticks(range(count), names, size=8, rotation=40, ha="right", rotation_mode="anchor")
    axes.set(ylabel="of the files this rule hits …", xlabel="… per cent that this one hits too")
    axes.grid(visible=False)
    others = pairs.filter(pl.col("rule") != pl.col("other"))
    most = others.sort("frac_both", "rule", "other", descending=[True, False, False]).row(0, named=True)
    covered = others.filter(pl.col("frac_both") >= 0.9)["rule"].n_unique()
    alt = (
        f"Heat map of {count} rules by {count} rules: per cent of the hits of one that the other hits too. Largest: "
        f"{most['rule']} in {most['other']}, {most['frac_both']:.0%} of {most['hits']:,}. "
        f"{covered} of the rules share at least nine tenths of their hits with another one."
    )
    return figure, alt


def what_if(curve: pl.DataFrame, rule: str, threshold: float, signal: str) -> tuple:
    """Share of files a rule hits, and hits alone, against its threshold; the threshold in force is drawn.

    curve: the frame of `quality.tuning.what_if`, in order of the threshold.
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

    bins: the frame of `quality.tuning.distribution`.
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


def distributions(bins: pl.DataFrame, thresholds: dict[str, float | tuple[float, float]], columns: int = 3) -> tuple:
    """Small histograms of several signals, one per rule, the threshold drawn in each; removed files are hatched.

    bins: frames of `quality.tuning.distribution`, one below the other. thresholds: rule id to the number in force, or
    to the two ends of a range.
    """
    names = list(thresholds)
    rows = -(-len(names) // columns)
    figure, grid = new_figure(rows, columns, height=0.4 + 1.7 * rows, squeeze=False)
    listed = []
    for axes, name in zip(grid.flat, names, strict=False):
        here = bins.filter(pl.col("rule") == name)
        kept = here["files"] - here["hits"]
        width = here["high"] - here["low"]
        axes.bar(here["low"], kept, width, align="edge", color=BLUE)
        axes.bar(
            here["low"], here["hits"], width, bottom=kept, align="edge", color=RED, alpha=0.6, hatch="////",
            edgecolor=GREY,
        )  # fmt: skip
        for cut in np.atleast_1d(thresholds[name]):
            axes.axvline(cut, color=GREY, linestyle=":", linewidth=1.6)
        axes.set_title(name, size=8)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set(xlim=(0, here["high"].max()), ylim=(0, None))
        listed.append(f"{name}: {here['hits'].sum():,} of {here['files'].sum():,} beyond {_cut(thresholds[name])}")
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("files", size=8)
    return figure, f"Histograms of {len(names)} signals with their thresholds. {'; '.join(listed)}."


def _cut(value: float | tuple[float, float]) -> str:
    return " and ".join(f"{cut:g}" for cut in np.atleast_1d(value))


def what_if_all(changes: pl.DataFrame, top: int = 12) -> tuple:
    """For the rules with most effect: files that come back when a rule is loosened or switched off, to the right, and
    files that go when it is tightened, to the left.

    changes: the frame of `quality.tuning.what_if_all`.
    """
    moved = pl.col("files_back") + pl.col("files_gone")
    order = changes.group_by("rule", maintain_order=True).agg(effect=moved.max()).filter(pl.col("effect") > 0)
    names = order.sort("effect", "rule", descending=[True, False]).head(top)["rule"].to_list()
    if not names:
        return nothing_to_draw("No rule alone changes the fate of a file.")
    figure, axes = new_figure(height=1.0 + 0.3 * len(names))
    kinds = changes["change"].dtype.categories.to_list()
    for at, kind in enumerate(kinds):
        here = {row["rule"]: row for row in changes.filter(pl.col("change") == kind).iter_rows(named=True)}
        grown = [(here[name]["files_back"] or 0) - (here[name]["files_gone"] or 0) for name in names]
        known = [here[name]["files_back"] is not None for name in names]
        points = [(number, place) for place, (number, some) in enumerate(zip(grown, known, strict=True)) if some]
        colour = GREY if kind == "off" else BLUE if "looser" in kind else RED
        axes.plot(
            *zip(*points, strict=True), "sovD^<"[at % 6], color=colour, markersize=6, label=kind, linestyle="",
            fillstyle="none" if at in (2, 3) else "full", clip_on=False,
        )  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(names)), names, size=8)
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(xlabel="files that come back (right) or go (left), symmetric logarithmic scale")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    off = {row["rule"]: row["files_back"] for row in changes.filter(pl.col("change") == "off").iter_rows(named=True)}
    listed = "; ".join(f"{name} {off[name]:,}" for name in names)
    return figure, f"Dot plot of {len(names)} rules. Files that come back when a rule is switched off: {listed}."


def perplexity(scored: pl.DataFrame) -> tuple:
    """Every scored file as a point: bits per byte, kept files above, files that one rule alone removed below.

    scored: the frame of `quality.tuning.inspection_sample` with `bits_per_byte`. The bar is the median.
    """
    known = scored.filter(pl.col("bits_per_byte").is_not_nan())
    sides = known["side"].unique(maintain_order=True).to_list()
    if not sides:
        return nothing_to_draw("No file was scored.")
    figure, axes = new_figure(height=1.2 + 0.7 * len(sides))
    listed = []
    for place, (side, colour) in enumerate(zip(sides, (BLUE, RED), strict=False)):
        bits = known.filter(pl.col("side") == side)["bits_per_byte"].sort()
        # Spread by rank, not at random: the same files always give the same picture.
        shift = [0.22 * ((i * 0.618) % 1 - 0.5) * 2 for i in range(len(bits))]
        axes.plot(
            bits, [place + s for s in shift], "os"[place % 2], color=colour, alpha=0.7, linestyle="", markersize=5
        )
        axes.plot([bits.median()] * 2, [place - 0.35, place + 0.35], color=GREY, linewidth=2)
        listed.append(f"{side}: {len(bits)} files, {bits.min():.2f} to {bits.max():.2f}, median {bits.median():.2f}")
    axes.set_yticks(range(len(sides)), sides)
    axes.invert_yaxis()
    axes.set(xlabel="bits per byte", xlim=(0, None))
    axes.grid(axis="y", visible=False)
    return figure, f"Bits per byte of single files. {'; '.join(listed)}."


def decisions(counts: pl.DataFrame) -> tuple:
    """Heat map with numbers: decisions of one rulebook (rows) against those of another (columns), in files.

    counts: `quality.compare.Comparison.counts`. Colour only marks what changes.
    """
    names = sorted(set(counts["before"]) | set(counts["after"]), key=lambda name: (name != "keep", name))
    found = {(row["before"], row["after"]): row["files"] for row in counts.iter_rows(named=True)}
    grid = np.array([[found.get((before, after), 0) for after in names] for before in names])
    figure, axes = new_figure(width=1.8 + 1.3 * len(names), height=1.2 + 0.6 * len(names))
    changed = (grid > 0) & ~np.eye(len(names), dtype=bool)
    marked = np.where(changed, 1.0, np.nan)
    axes.imshow(marked, cmap=LinearSegmentedColormap.from_list("one", [ORANGE, ORANGE]), aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        ink = "black" if changed[row, column] else GREY
        axes.text(column, row, f"{value:,}", ha="center", va="center", color=ink)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="decision after", ylabel="decision before")
    axes.grid(visible=False)
    moved = [f"{a} to {b} {n:,}" for (a, b), n in sorted(found.items()) if a != b]
    total = int(grid.sum())
    return figure, f"Table of decisions on {total:,} files under two rulebooks. Changed: {'; '.join(moved) or 'none'}."


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
