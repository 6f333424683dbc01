"""Figures of deduplication: how large groups are, who holds whose files, and what a MinHash setting catches."""

import numpy as np
import polars as pl
from matplotlib.colors import LinearSegmentedColormap, LogNorm

from opencoder_lib import MB
from opencoder_lib.plots.style import BLUE, GREY, MARKERS, ORANGE, STAGE_COLOUR, new_figure

# Opaque cells with their own ink, so the table reads the same on a white and on a black page.
HEAT = LinearSegmentedColormap.from_list("opencoder-heat", ["#E3EEF7", "#7FB4DB", BLUE, "#003A63"])


def group_sizes(groups: pl.DataFrame, stage: str = "exact") -> tuple:
    """How many groups have how many copies, on two logarithmic axes.

    groups: a column `files`, one row a group, as `removed_groups` gives it.
    """
    counts = groups.group_by("files").len().sort("files")
    figure, axes = new_figure(height=3.4)
    axes.vlines(counts["files"], 0.7, counts["len"], color=STAGE_COLOUR[stage], alpha=0.5, linewidth=1.2)
    axes.plot(counts["files"], counts["len"], MARKERS[0], color=STAGE_COLOUR[stage])
    axes.set(xscale="log", yscale="log", xlabel="copies of one text (files)", ylabel="texts with that many copies")
    axes.set_ylim(bottom=0.7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ticks = [value for value in (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000) if value <= counts["files"].max()]
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(axes.xaxis.get_minor_locator().__class__(subs=[]))
    largest = int(counts["files"][-1])
    axes.annotate(
        f"{largest:,} copies",
        (largest, counts["len"][-1]),
        textcoords="offset points",
        xytext=(-6, 10),
        ha="right",
        color=GREY,
    )
    pairs = int(counts.filter(pl.col("files") == 2)["len"].sum())
    alt = (
        f"Scatter of group sizes on logarithmic axes: {groups.height:,} texts occur more than once, {pairs:,} of them "
        f"exactly twice, the most frequent one {largest:,} times."
    )
    return figure, alt


def shared_contents(pairs: pl.DataFrame, top: int = 12) -> tuple:
    """Which repository holds files of which, as a table whose cells are coloured by bytes.

    pairs: of `refine.exact.shared_contents`; the `top` pairs with most bytes are drawn.
    """
    shown = pairs.head(top)
    across = pairs.filter(pl.col("repo") != pl.col("other"))
    holders = shown.group_by("repo").agg(pl.col("n_bytes").sum()).sort("n_bytes", "repo", descending=[True, False])
    origins = shown.group_by("other").agg(pl.col("n_bytes").sum()).sort("n_bytes", "other", descending=[True, False])
    row_of = {name: row for row, name in enumerate(holders["repo"])}
    column_of = {name: column for column, name in enumerate(origins["other"])}
    cells = np.full((len(row_of), len(column_of)), np.nan)
    labels = {}
    for pair in shown.iter_rows(named=True):
        place = row_of[pair["repo"]], column_of[pair["other"]]
        cells[place] = pair["n_bytes"]
        labels[place] = f"{pair['contents']:,}"
    figure, axes = new_figure(height=1.6 + 0.36 * len(row_of))
    norm = LogNorm(max(1, np.nanmin(cells) / 2), np.nanmax(cells) * 1.01)
    image = axes.imshow(np.ma.masked_invalid(cells), cmap=HEAT, norm=norm, aspect="auto")
    for (row, column), label in labels.items():
        ink = "white" if norm(cells[row, column]) > 0.5 else "#1A1A1A"
        axes.text(column, row, label, ha="center", va="center", color=ink)
    axes.set_yticks(range(len(row_of)), list(row_of))
    axes.set_xticks(range(len(column_of)), list(column_of), rotation=35, ha="right")
    axes.set(ylabel="this package holds", xlabel="files of this package (same name: copies inside it)")
    axes.grid(False)
    bar = figure.colorbar(image, ax=axes, label="bytes shared (one copy)", shrink=0.9)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value / MB:,.3g} MB" if value >= MB / 10 else f"{value:,.0f}")
    bar.outline.set_edgecolor(GREY)
    if across.is_empty():
        return figure, "Table of packages that hold the same files: no two different packages share any."
    most = across.row(0, named=True)
    alt = (
        f"Table of packages that hold the same files, {shown.height} of {pairs.height} pairs drawn. Between two "
        f"different packages the most bytes are shared by {most['repo']} and {most['other']}: "
        f"{most['contents']:,} files, {most['n_bytes'] / MB:.2f} MB."
    )
    return figure, alt


def s_curve(curves: pl.DataFrame, measured: pl.DataFrame, planted: pl.DataFrame | None = None) -> tuple:
    """The chance that a pair is caught, by its Jaccard similarity: the formula as lines, measured shares as points.

    curves: rows of `detection_curve`; measured: rows of `measure_detection` with 95 % intervals; both may hold several
    settings, told apart by bands and rows. planted: columns jaccard and caught (boolean), drawn as ticks at 0 and 1.
    """
    figure, axes = new_figure(height=4.2)
    told = []
    settings = curves.select("bands", "rows", "threshold").unique(maintain_order=True)
    for number, (bands, rows, threshold) in enumerate(settings.iter_rows()):
        colour, dashes = ((STAGE_COLOUR["fuzzy"], "-"), (ORANGE, "--"), (BLUE, ":"))[number % 3]
        here = (pl.col("bands") == bands) & (pl.col("rows") == rows)
        line, points = curves.filter(here), measured.filter(here)
        label = f"{bands} bands x {rows} rows"
        axes.plot(line["jaccard"], line["probability"], dashes, color=colour, label=f"{label}, formula")
        spread = np.abs(points.select("low", "high").to_numpy().T - points["frac_detected"].to_numpy())
        style = {"color": colour, "capsize": 2, "elinewidth": 1, "markersize": 4.5, "label": f"{label}, measured"}
        axes.errorbar(points["jaccard"], points["frac_detected"], spread, fmt=MARKERS[number], **style)
        axes.axvline(threshold, color=GREY, linewidth=0.9, linestyle=dashes)
        axes.text(
            threshold - 0.004, 0.5, f"threshold {threshold:.3f}", rotation=90, ha="right", va="center", fontsize=8
        )
        told.append(f"{label} has its threshold at {threshold:.3f}")
    if planted is not None and planted.height:
        height = planted["caught"].cast(pl.Float64) * 1.1 - 0.05
        axes.plot(planted["jaccard"], height, "|", color=GREY, markersize=9, label="planted pairs: caught, missed")
    axes.set(
        xlabel="Jaccard similarity of the two sets of shingles",
        ylabel="share of pairs caught",
        ylim=(-0.1, 1.1),
        xlim=(float(curves["jaccard"].min()), 1.005),
    )
    axes.legend(loc="upper left", fontsize=8.5)
    alt = f"S-curves of detection against Jaccard similarity, formula and measurement together: {'; '.join(told)}."
    return figure, alt
