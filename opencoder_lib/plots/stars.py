"""Famous projects on a map of all, and how wide their files are spread beside random draws of as many projects."""

import polars as pl

from opencoder_lib.plots.style import BLUE, GREY, ORANGE, SKY, new_figure

UNITS = {"distance": "mean distance from the centroid", "dimensions": "effective number of dimensions"}


def fame_on_the_map(points: pl.DataFrame, explained: list[float], share: float):
    """Two maps of the same files: left with those of the most popular projects marked, right with a random draw.

    points: x, y and the flags `famous` and `random`. explained: shares of variance of the two axes.
    """
    figure, axes = new_figure(1, 2, width=8.6, height=4.2, sharex=True, sharey=True)
    panels = {"famous": (ORANGE, "s", f"top {100 * share:g} % of projects"), "random": (BLUE, "^", "as many at random")}
    told = []
    for ax, (flag, (colour, marker, name)) in zip(axes, panels.items(), strict=True):
        rest, marked = points.filter(~pl.col(flag)), points.filter(pl.col(flag))
        ax.scatter(rest["x"], rest["y"], s=8, color=GREY, alpha=0.35, linewidths=0, label="all others")
        ax.scatter(marked["x"], marked["y"], s=16, color=colour, marker=marker, alpha=0.8, linewidths=0, label=name)
        ax.set_title(f"{name}: {marked.height} of {points.height} files")
        ax.set_xlabel(f"first component ({100 * explained[0]:.1f} % of variance)")
        ax.legend(fontsize="small")
        told.append(f"{name}, {marked.height} files, x from {marked['x'].min():.2f} to {marked['x'].max():.2f}")
    axes[0].set_ylabel(f"second component ({100 * explained[1]:.1f} % of variance)")
    return figure, f"Two scatter plots of {points.height} files, two principal components. Marked: {'; '.join(told)}."


def spread(table: pl.DataFrame, draws: pl.DataFrame):
    """A histogram of the random draws for each measure, with lines where the famous projects and all projects lie.

    table: rows famous, all and random with each measure and its low and high. draws: the measures of every draw. The
    bands hold 95 % of the subsets of files.
    """
    figure, axes = new_figure(1, len(UNITS), width=8.6, height=3.4)
    rows = {row["projects"]: row for row in table.iter_rows(named=True)}
    told = []
    for ax, (measure, unit) in zip(axes, UNITS.items(), strict=True):
        ax.hist(draws[measure], bins=20, color=SKY, alpha=0.7, label=f"{draws.height} random draws")
        for name, colour, dashes in (("famous", ORANGE, "-"), ("all", GREY, "--")):
            row = rows[name]
            ax.axvline(row[measure], color=colour, linestyle=dashes, linewidth=2, label=f"{name} projects")
            ax.axvspan(row[f"{measure}_low"], row[f"{measure}_high"], color=colour, alpha=0.15, linewidth=0)
            told.append(f"{unit}, {name}: {row[measure]:.2f}")
        ax.set_xlabel(unit)
    axes[0].set_ylabel("random draws")
    axes[0].legend(fontsize="small")
    low, high = draws["distance"].min(), draws["distance"].max()
    return figure, (
        f"Histograms of {draws.height} random draws of as many projects (distance {low:.2f} to {high:.2f}); lines: "
        f"{'; '.join(told)}."
    )
