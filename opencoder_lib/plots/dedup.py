"""Figures of deduplication: how large groups are, who holds whose files, what a setting catches, what it hangs on."""

import numpy as np
import polars as pl
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.ticker import MaxNLocator, PercentFormatter

from opencoder_lib import MB
from opencoder_lib.plots.style import (
    BLUE,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PINK,
    RED,
    SKY,
    STAGE_COLOUR,
    new_figure,
    nothing_to_draw,
)

# Opaque cells with their own ink, so the table reads the same on a white and on a black page.
HEAT = LinearSegmentedColormap.from_list("opencoder-heat", ["#E3EEF7", "#7FB4DB", BLUE, "#003A63"])
DASHES = ("-", "--", ":")


def group_sizes(groups: pl.DataFrame, stage: str = "exact") -> tuple:
    """How many groups have how many copies, on two logarithmic axes.

    groups: a column `files`, one row a group, as `removed_groups` gives it.
    """
    if groups.is_empty():
        return nothing_to_draw("No text occurs more than once.")
    counts = groups.group_by("files").len().sort("files")
    figure, axes = new_figure(height=3.4)
    axes.vlines(counts["files"], 0.7, counts["len"], color=STAGE_COLOUR[stage], alpha=0.5, linewidth=1.2)
    axes.plot(counts["files"], counts["len"], MARKERS[0], color=STAGE_COLOUR[stage])
    axes.set(xscale="log", yscale="log", xlabel="copies of one text (files)", ylabel="texts with that many copies")
    axes.set_ylim(bottom=0.7)
    for axis, highest in ((axes.xaxis, counts["files"].max()), (axes.yaxis, counts["len"].max())):
        steps = [value for value in (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000) if value <= highest]
        axis.set_ticks(steps, [f"{value:,}" for value in steps])
        axis.set_ticks([], minor=True)
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


def shared_contents(pairs: pl.DataFrame, top: int = 14) -> tuple:
    """Which package holds files of which, as a table: cells are coloured by bytes and say how many files.

    pairs: of `refine.exact.shared_contents`; the `top` pairs with most bytes are drawn. Copies inside one package stand
    in a column of their own.
    """
    if pairs.is_empty():
        return nothing_to_draw("No two repositories hold the same file.")
    inside = "(itself)"
    shown = pairs.head(top).with_columns(
        other=pl.when(pl.col("repo") == pl.col("other")).then(pl.lit(inside)).otherwise("other")
    )
    holders = shown["repo"].unique(maintain_order=True).to_list()
    origins = [*shown.filter(pl.col("other") != inside)["other"].unique(maintain_order=True), inside]
    cells = np.full((len(holders), len(origins)), np.nan)
    for pair in shown.iter_rows(named=True):
        cells[holders.index(pair["repo"]), origins.index(pair["other"])] = pair["n_bytes"]
    figure, axes = new_figure(height=1.7 + 0.3 * len(holders))
    norm = LogNorm(max(1, np.nanmin(cells) / 2), np.nanmax(cells) * 1.01)
    image = axes.imshow(np.ma.masked_invalid(cells), cmap=HEAT, norm=norm, aspect="auto")
    for pair in shown.iter_rows(named=True):
        place = holders.index(pair["repo"]), origins.index(pair["other"])
        ink = "white" if norm(cells[place]) > 0.5 else "#1A1A1A"
        axes.text(place[1], place[0], f"{pair['contents']:,}", ha="center", va="center", color=ink)
    axes.set_yticks(range(len(holders)), holders)
    axes.set_xticks(range(len(origins)), origins, rotation=20, ha="right")
    axes.set(ylabel="this package holds", xlabel="files that are also in this package")
    axes.set_xticks(np.arange(len(origins) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(holders) + 1) - 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(False, which="major")
    axes.grid(True, which="minor")
    bar = figure.colorbar(image, ax=axes, label="size of the shared files, one copy each", shrink=0.9)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value / 1000:g} kB" if value >= 1000 else f"{value:g} B")
    bar.outline.set_edgecolor(GREY)
    return (
        figure,
        f"Table of packages that hold the same files, {shown.height} of {pairs.height} pairs drawn. {_most(pairs)}",
    )


def _most(pairs: pl.DataFrame) -> str:
    across = pairs.filter(pl.col("repo") != pl.col("other"))
    if across.is_empty():
        return "No two different packages share a file."
    most = across.row(0, named=True)
    return (
        f"Between two different packages the most bytes are shared by {most['repo']} and {most['other']}: "
        f"{most['contents']:,} files, {most['n_bytes'] / MB:.2f} MB."
    )


def s_curve(curves: pl.DataFrame, measured: pl.DataFrame, planted: pl.DataFrame | None = None) -> tuple:
    """The chance that a pair is caught, by its Jaccard similarity; on the right the steep part of the first setting.

    curves: rows of `detection_curve` (lines); measured: rows of `measure_detection` (points with 95 % intervals); both
    may hold several settings, told apart by bands and rows. planted: columns jaccard and caught (boolean), drawn as
    ticks above 1 and below 0.
    """
    figure, (wide, close) = new_figure(1, 2, height=4.4, sharey=True)
    told = []
    settings = curves.select("bands", "rows", "threshold").unique(maintain_order=True)
    for number, (bands, rows, threshold) in enumerate(settings.iter_rows()):
        here = (pl.col("bands") == bands) & (pl.col("rows") == rows)
        for axes in (wide, close):
            _one_setting(axes, number, f"{bands} bands x {rows} rows", curves.filter(here), measured.filter(here))
            axes.axvline(threshold, color=GREY, linewidth=0.9, linestyle=DASHES[number % 3])
        told.append(f"{bands} bands of {rows} rows have their threshold at {threshold:.3f}")
    start = float(curves["jaccard"].min())
    first = curves.filter(pl.col("bands") == settings["bands"][0], pl.col("rows") == settings["rows"][0])
    steep = float(first.filter(pl.col("probability") >= 0.002)["jaccard"].min())
    for axes, left in ((wide, start), (close, steep)):
        axes.set(xlabel="Jaccard similarity", xlim=(left, 1 + 0.02 * (1 - left)))
        for threshold in settings["threshold"]:
            if left < threshold and (axes is close or threshold < steep):
                place = (threshold + 0.012 * (1 - left), 0.3)
                axes.text(*place, f"threshold {threshold:.3f}", rotation=90, ha="left", va="center", fontsize=8.5)
        if planted is not None and planted.height:
            height = planted["caught"].cast(pl.Float64) * 1.12 - 0.06
            axes.plot(
                planted["jaccard"], height, "|", color=GREY, markersize=9, label="planted: caught above, missed below"
            )
    wide.set(ylabel="share of pairs caught", ylim=(-0.11, 1.11))
    handles, labels = wide.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8.5)
    alt = f"S-curves of detection against Jaccard similarity, formula and measured points: {'; '.join(told)}."
    return figure, alt


def _one_setting(axes, number: int, label: str, line: pl.DataFrame, points: pl.DataFrame) -> None:
    colour = (STAGE_COLOUR["fuzzy"], ORANGE, BLUE)[number % 3]
    axes.plot(line["jaccard"], line["probability"], DASHES[number % 3], color=colour, label=f"{label}, formula")
    spread = np.abs(points.select("low", "high").to_numpy().T - points["frac_detected"].to_numpy())
    style = {"color": colour, "capsize": 2, "elinewidth": 1, "markersize": 4.5, "fmt": MARKERS[number % 3]}
    axes.errorbar(points["jaccard"], points["frac_detected"], spread, label=f"{label}, measured", **style)


def sensitivity(found: pl.DataFrame) -> tuple:
    """Dots: the share of files and of bytes that each split removes, a panel a split, a line a changed assumption.

    found: `change`, `split`, `frac_files` and `frac_bytes`, as `detection.sensitivity` gives them. The first
    change is the setting that the others are held against; dotted lines carry its values down.
    """
    changes = found["change"].unique(maintain_order=True).to_list()
    splits = found["split"].unique(maintain_order=True).to_list()
    figure, grid = new_figure(1, len(splits), height=1.3 + 0.32 * len(changes), sharey=True, squeeze=False)
    told = []
    for axes, split in zip(grid[0], splits, strict=True):
        here = found.filter(pl.col("split") == split)
        for at, (name, label) in enumerate((("frac_files", "of the files"), ("frac_bytes", "of the bytes"))):
            colour = (STAGE_COLOUR["fuzzy"], BLUE)[at]
            axes.axvline(here[name][0], color=colour, linestyle=":", linewidth=1.2)
            # A little apart: the two shares are often the same.
            places = [line + (0.15, -0.15)[at] for line in range(here.height)]
            style = {"color": colour, "linestyle": "", "markersize": 5.5, "fillstyle": ("full", "none")[at]}
            axes.plot(here[name], places, MARKERS[3 * at], label=label, **style)
        largest = max(here["frac_files"].max(), here["frac_bytes"].max())
        axes.set_title(f"{split.replace(' x ', ' bands x ')} rows")
        axes.set(xlabel="share removed", xlim=(0, 1.15 * largest or 1))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1 if largest < 0.04 else 0))
        told.append(f"{split}: " + "; ".join(_shares(row) for row in here.iter_rows(named=True)))
    grid[0][0].set_yticks(range(len(changes)), changes)
    grid[0][0].invert_yaxis()
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure, f"Dot plot of the share of files and of bytes removed under other assumptions. {'. '.join(told)}."


def _shares(row: dict) -> str:
    return f"{row['change']} {100 * row['frac_files']:.2g} % and {100 * row['frac_bytes']:.2g} %"


def forks(compared: pl.DataFrame, levels: tuple[str, ...]) -> tuple:
    """Lines: the tokens that each level leaves of repositories and their forks, by how much the forks lack.

    compared: `frac_missing`, `level`, `times_tokens` (1: every fork is gone) and `frac_tokens` (1: nothing is), as
    `levels.compare_levels_on_forks` gives them; levels: which to draw. The horizontal steps are evenly spaced.
    """
    steps = compared["frac_missing"].unique().sort().to_list()
    places = range(len(steps))
    everything = (pl.col("times_tokens") / pl.col("frac_tokens")).alias("all")
    ceiling = compared.group_by("frac_missing").agg(everything.first()).sort("frac_missing")["all"]
    figure, axes = new_figure(height=3.6)
    axes.plot(places, ceiling, color=GREY, linestyle=":", label="nothing removed")
    told = []
    for at, level in enumerate(levels):
        values = compared.filter(pl.col("level") == level).sort("frac_missing")["times_tokens"]
        style = {"color": (GREEN, PINK, ORANGE, SKY, RED)[at % 5], "linestyle": ("-", "--", "-.")[at % 3]}
        axes.plot(places, values, marker=MARKERS[at % 6], label=f"{level} level", **style)
        told.append(f"{level} from {values[0]:.2f} to {values[-1]:.2f}")
    axes.axhline(1, color=GREY, linewidth=0.9)
    axes.annotate("every fork gone", (0, 1), xytext=(2, -4), textcoords="offset points", va="top", size=8.5)
    axes.set_xticks(places, [f"{100 * step:g} %" for step in steps])
    axes.set(xlabel="files that the fork lacks", ylabel="tokens left (without forks: 1)", ylim=(0, None))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    alt = (
        f"Lines of the tokens left, as forks lack {100 * steps[0]:g} to {100 * steps[-1]:g} % of their files; at 1 "
        f"every fork is gone. {'; '.join(told)}; all tokens from {ceiling[0]:.2f} to {ceiling[-1]:.2f}."
    )
    return figure, alt
