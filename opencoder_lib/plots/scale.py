"""Figures of scale: what runs of growing size take, what one file of them takes, and what gives out first."""

import numpy as np
import polars as pl
from matplotlib.ticker import FuncFormatter

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
    new_figure,
    nothing_to_draw,
)

PASS_COLOUR = {"read": BLUE, "digests": ORANGE, "keys": GREEN, "sets": PINK, "decide": SKY, "write": RED}
# The driver's part of a pass has no name of its own in the measurement.
PASS_NAME = {"digests": "digests, exact", "keys": "keys, candidates"}
BARS = ("//", "\\\\", "..", "xx", "", "--")


def growth(runs: pl.DataFrame, lines: dict[str, tuple[float, float, int]]) -> tuple:
    """Processor seconds and peak memory against the number of files, on logarithmic axes, with lines through them.

    runs: `files`, `cpu_seconds`, `seconds`, `peak_bytes`; lines: for `cpu_seconds` and `peak_bytes` the fixed cost, the
    cost for each file, and the size from which the line holds.
    """
    files = runs["files"].to_numpy()
    figure, (left, right) = new_figure(1, 2, width=8.2, height=3.9)
    panels = ((left, "cpu_seconds", 1, BLUE, "processor seconds"), (right, "peak_bytes", MB, GREEN, "peak memory"))
    for axes, column, unit, colour, label in panels:
        fixed, per_file, first = lines[column]
        along = np.geomspace(first, files.max(), 60)
        axes.plot(along, (fixed + per_file * along) / unit, color=colour, linewidth=1.2, label="fixed + files x cost")
        axes.plot(files, runs[column].to_numpy() / unit, MARKERS[0], color=colour, label=label)
        axes.set(xscale="log", yscale="log", xlabel="files")
        axes.xaxis.set_major_formatter(FuncFormatter(_count))
    left.plot(files, runs["seconds"], MARKERS[1], color=ORANGE, fillstyle="none", label="seconds by the clock")
    left.set_ylabel("seconds")
    right.set_ylabel("peak memory of all processes (MB)")
    _few_ticks(left, pl.concat([runs["cpu_seconds"], runs["seconds"]]))
    _few_ticks(right, runs["peak_bytes"] / MB)
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=8.5)
    least, most = (runs.sort("files").row(at, named=True) for at in (0, -1))
    alt = (
        f"Two panels against the number of files, {least['files']:,} to {most['files']:,}, on logarithmic axes: "
        f"processor seconds rise from {least['cpu_seconds']:.1f} to {most['cpu_seconds']:.1f}, peak memory from "
        f"{least['peak_bytes'] / MB:,.0f} to {most['peak_bytes'] / MB:,.0f} MB, with lines of a fixed cost and one "
        "for each file."
    )
    return figure, alt


def per_file(runs: pl.DataFrame, fixed: float, per_file: float) -> tuple:
    """Microseconds of a processor for a file: of the whole run above its fixed cost, and by pass as stacked bars.

    runs: `files`, `cpu_seconds` and `cpu_<pass>`; a flat row of points, and bars of one height, say that a file costs
    the same at every size.
    """
    if runs.is_empty():
        return nothing_to_draw("No run is large enough to say what one file costs.")
    files, places = runs["files"].to_numpy(), np.arange(runs.height)
    above = 1e6 * (runs["cpu_seconds"].to_numpy() - fixed) / files
    figure, (left, right) = new_figure(1, 2, width=8.6, height=3.8, width_ratios=(1, 1.25))
    left.axhline(1e6 * per_file, color=GREY, linestyle="--", linewidth=1.2, label="the line's slope")
    left.plot(places, above, MARKERS[0], color=BLUE, label="measured")
    left.set(ylabel="processor µs a file, without the fixed cost", ylim=(0, 1.35 * max(above.max(), 1e6 * per_file)))
    left.legend(loc="lower left", fontsize=8.5)
    bottom = np.zeros(runs.height)
    for (name, colour), hatch in zip(PASS_COLOUR.items(), BARS, strict=True):
        height = 1e6 * runs[f"cpu_{name}"].to_numpy() / files
        look = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0, "width": 0.7}
        right.bar(places, height, bottom=bottom, label=PASS_NAME.get(name, name), **look)
        bottom += height
    right.set_ylabel("processor µs a file, by pass")
    right.set_ylim(0, 1.05 * bottom.max())
    handles, labels = right.get_legend_handles_labels()
    right.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5)
    for axes in (left, right):
        axes.set_xticks(places, [_count(each) for each in files])
        axes.set_xlabel("files")
        axes.set_xlim(-0.6, runs.height - 0.4)
    last = runs.row(-1, named=True)
    parts = ", ".join(
        f"{PASS_NAME.get(name, name)} {1e6 * last[f'cpu_{name}'] / files[-1]:.2g}" for name in PASS_COLOUR
    )
    told = "; ".join(f"{n:,} files {value:.3g}" for n, value in zip(files, above, strict=True))
    return figure, f"Processor microseconds a file above the fixed cost: {told}. By pass at the largest size: {parts}."


def limits(broken: pl.DataFrame, loads: dict[str, int]) -> tuple:
    """At how many files each resource is used up, as bars on a logarithmic axis, with lines for corpora.

    broken: `resource`, `limit`, `files`, fewest first, as `clean.extrapolation.breaks_first` gives them; loads: names
    and numbers of files.
    """
    if broken.is_empty():
        return nothing_to_draw("Nothing grows with the number of files.")
    places = np.arange(broken.height)
    figure, axes = new_figure(width=8.2, height=1.5 + 0.42 * broken.height)
    start = 10 ** np.floor(np.log10(min(broken["files"].min(), *loads.values())) - 1)
    reached = broken["files"].to_numpy() < min(loads.values())
    colours = np.where(reached, RED, BLUE)
    axes.barh(places, broken["files"].to_numpy() - start, left=start, color=colours, height=0.55)
    for place, files in zip(places, broken["files"], strict=True):
        look = {"textcoords": "offset points", "va": "center", "ha": "right", "color": "white", "fontsize": 9}
        axes.annotate(_count(files), (files, place), xytext=(-4, 0), **look)
    for (name, files), dashes in zip(loads.items(), ("--", ":", "-."), strict=False):
        axes.axvline(files, color=GREY, linestyle=dashes, linewidth=1.3, zorder=0.5, label=f"{name}: {_count(files)}")
    axes.set_xscale("log")
    axes.set_xlim(start, 2 * max(broken["files"].max(), *loads.values()))
    axes.xaxis.set_major_formatter(FuncFormatter(_count))
    axes.set_yticks(places, [f"{name}\n({limit})" for name, limit in broken.select("resource", "limit").iter_rows()])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlabel("files at which it is used up")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8.5)
    told = "; ".join(
        f"{row['resource']} ({row['limit']}) at {_count(row['files'])}" for row in broken.iter_rows(named=True)
    )
    return figure, f"Bars of the number of files at which each resource is used up: {told}."


def _count(value: float, _: object = None) -> str:
    """'300 k', '28 million', '1.2 billion'."""
    for size, name in ((1e9, " billion"), (1e6, " million"), (1e3, " k")):
        if value >= size:
            return f"{value / size:,.3g}{name}"
    return f"{value:,.3g}"


def _few_ticks(axes, values: pl.Series) -> None:
    """Numbers that are round and enough: a range within a power of ten would have none."""
    low, high = 0.8 * values.min(), 1.25 * values.max()
    steps = (1, 2, 5) if high > 6 * low else (1, 1.5, 2, 3, 4, 5, 6, 8)
    ticks = [step * 10.0**power for power in range(-3, 13) for step in steps if low <= step * 10.0**power <= high]
    axes.set_ylim(low, high)
    axes.yaxis.set_ticks(ticks, [f"{value:,g}" for value in ticks])
    axes.yaxis.set_ticks([], minor=True)
