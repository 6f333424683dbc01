"""Annealing on a mixture: what each held-out set costs after it, against a decay on the original text."""

import polars as pl

from opencoder_lib.plots.ablation import looks
from opencoder_lib.plots.style import GREY, new_figure


def changes(table: pl.DataFrame, baseline: str):
    """Change in bits per byte of each held-out set, a row a set and a mark an arm, with its interval.

    table: set, arm, difference, low, high; left of zero is less than the baseline. Sets come from the top in the order
    of the table.
    """
    sets, arms = table["set"].unique(maintain_order=True).to_list(), table["arm"].unique(maintain_order=True).to_list()
    figure, ax = new_figure(width=7.2, height=1.3 + 0.32 * len(sets) * len(arms))
    ax.axvline(0, color=GREY, linewidth=1)
    told = []
    for number, (arm, look) in enumerate(list(looks([baseline, *arms]).items())[1:]):
        # Arms of one set lie side by side within half of its row.
        shift = 0.5 * (number + 0.5) / len(arms) - 0.25
        rows = table.filter(pl.col("arm") == arm)
        places = [sets.index(name) + shift for name in rows["set"]]
        style = {"color": look["color"]}
        ax.hlines(places, rows["low"], rows["high"], linewidth=2, **style)
        ax.scatter(rows["difference"], places, marker=look["marker"], s=36, label=arm, zorder=3, **style)
        told += [f"{arm}, {name}: {change:+.3f}" for name, change in rows.select("set", "difference").iter_rows()]
    ax.set_yticks(range(len(sets)), sets)
    ax.set_ylim(len(sets) - 0.5, -0.5)
    ax.set_xlabel(f"bits per byte minus those of {baseline}")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure, f"Change in bits per byte against {baseline}. {'; '.join(told)}."
