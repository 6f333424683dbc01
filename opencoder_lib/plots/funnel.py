"""The funnel: what each stage leaves of the corpus."""

import polars as pl

from opencoder_lib import MB
from opencoder_lib.plots.style import GREY, STAGE_COLOUR, new_figure


def funnel(stages: pl.DataFrame) -> tuple:
    """Bytes and files left after each stage, as two rows of bars that start with everything collected.

    stages: the frame of `files.funnel`. The dark part of a bar is what is left, the pale part what the stage removed.
    """
    first = stages.row(0, named=True)
    names = ["collected", *stages["stage"]]
    figure, (left, right) = new_figure(1, 2, height=1.1 + 0.42 * len(names), sharey=True)
    for axes, what, unit, label in ((left, "bytes", MB, "size left (MB)"), (right, "files", 1, "files left")):
        after = [first[f"{what}_before"], *stages[f"{what}_after"]]
        removed = [0, *stages[f"{what}_removed"]]
        for place, (name, kept, gone) in enumerate(zip(names, after, removed, strict=True)):
            colour = STAGE_COLOUR.get(name, GREY)
            axes.barh(place, kept / unit, color=colour, height=0.7)
            axes.barh(
                place, gone / unit, left=kept / unit, color=colour, alpha=0.25, hatch="////", edgecolor=GREY, height=0.7
            )
            share = f"{kept / unit:,.1f}" if unit > 1 else f"{kept:,}"
            if gone:
                share += f"  (−{gone / (kept + gone):.1%})"
            end = (kept + gone) / unit
            axes.annotate(
                share, (end, place), xytext=(4, 0), textcoords="offset points", va="center", color=GREY, size=8
            )
        axes.set(xlabel=label, xlim=(0, after[0] / unit * 1.45))
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="y", visible=False)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    steps = "; ".join(
        f"{row['stage']} removes {row['files_removed']:,} files and {row['bytes_removed'] / MB:,.1f} MB"
        for row in stages.iter_rows(named=True)
    )
    last = stages.row(-1, named=True)
    alt = (
        f"Bars of what is left after each stage. {first['files_before']:,} files of "
        f"{first['bytes_before'] / MB:,.1f} MB are collected; {steps}. "
        f"Left: {last['files_after']:,} files, {last['bytes_after'] / MB:,.1f} MB."
    )
    return figure, alt
