"""Figures of the transforms: who carries notices, what is taken for personal data, how far the rules can be trusted."""

import polars as pl
from matplotlib.ticker import PercentFormatter

from opencoder_lib.plots.style import BLUE, GREEN, GREY, ORANGE, STAGE_COLOUR, new_figure, nothing_to_draw

PINK = STAGE_COLOUR["transform"]
RATES = (("planted and found", BLUE, "o"), ("labelled and found", GREEN, "s"), ("found and labelled", ORANGE, "^"))


def notices(shares: pl.DataFrame, reported: float, top: int = 10) -> tuple:
    """Share of files with a notice by language, with 95 % intervals and the paper's share; beside it the bytes cut.

    shares: the frame of `refine.audit_transform.notices_by_language`, all files first; the `top` languages with most
    files are drawn.
    """
    if shares.is_empty():
        return nothing_to_draw("No code file is left, so none carries a notice.")
    shown = shares.head(top + 1)
    names = [f"{language} ({files:,})" for language, files in shown.select("language", "files").iter_rows()]
    places, colours = range(shown.height), [GREY, *[PINK] * (shown.height - 1)]
    figure, (left, right) = new_figure(1, 2, height=1.2 + 0.32 * shown.height, sharey=True, width_ratios=[3, 2])
    left.barh(places, shown["frac_files"], color=colours, height=0.66)
    left.errorbar(
        shown["frac_files"],
        places,
        xerr=_ends(shown, "frac_files"),
        fmt="none",
        ecolor=BLUE,
        elinewidth=1.4,
        capsize=2.5,
    )
    left.axvline(reported, color=GREY, linestyle=":", linewidth=1.6)
    left.annotate(
        f"paper: over {reported:.0%}", (reported, 1), xycoords=("data", "axes fraction"), xytext=(3, 3),
        textcoords="offset points", color=GREY, size=8,
    )  # fmt: skip
    left.set(xlabel="files that open with a notice", xlim=(0, min(1, 1.05 * max(shown["high"].max(), reported))))
    left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.set_yticks(places, names)
    left.invert_yaxis()
    right.barh(places, shown["cut_in_kB"], color=colours, height=0.66)
    for place, row in enumerate(shown.iter_rows(named=True)):
        size = f"{row['cut_in_kB']:,.0f}" if row["cut_in_kB"] >= 1 or not row["with_notice"] else "<1"
        _label(right, f"{size} ({row['frac_bytes_cut'] or 0:.1%})", (row["cut_in_kB"], place))
    right.set(xlabel="kB cut (of the language's bytes)", xlim=(0, 1.6 * (shown["cut_in_kB"].max() or 1)))
    right.locator_params(axis="x", nbins=4)
    for axes in (left, right):
        axes.grid(axis="y", visible=False)
    listed = "; ".join(
        f"{row['language']} {row['frac_files']:.1%} of {row['files']:,} files, {row['cut_in_kB']:,.0f} kB"
        for row in shown.iter_rows(named=True)
    )
    return figure, f"Bars of the share of files with a notice, and of the kB cut. {listed}. Paper: over {reported:.0%}."


def personal_data(outcomes: pl.DataFrame, by_language: pl.DataFrame) -> tuple:
    """What the patterns match by kind, replaced or refused by a check, and beside it the languages it was replaced in.

    outcomes: the frame of `refine.audit_transform.outcomes`; by_language: of `places_by_language`.
    """
    if outcomes.is_empty():
        return nothing_to_draw("Nothing looks like personal data.")
    replaced = pl.col("places").filter(pl.col("check").is_null()).sum()
    kinds = outcomes.group_by("kind").agg(replaced=replaced, all=pl.col("places").sum())
    kinds = kinds.sort("all", "kind", descending=[True, False])
    rows = max(kinds.height, by_language.height)
    figure, (left, right) = new_figure(1, 2, height=1.1 + 0.32 * rows)
    figure.get_layout_engine().set(w_pad=0.12)
    places = range(kinds.height)
    left.barh(places, kinds["replaced"], color=PINK, height=0.66, label="replaced")
    left.barh(
        places, kinds["all"] - kinds["replaced"], left=kinds["replaced"], color=PINK, alpha=0.25, hatch="////",
        edgecolor=GREY, height=0.66, label="refused by a check",
    )  # fmt: skip
    for place, row in enumerate(kinds.iter_rows(named=True)):
        _label(left, f"{row['replaced']:,} of {row['all']:,}", (row["all"], place))
    left.set_yticks(places, kinds["kind"].str.replace_all("_", " "))
    left.set(xlabel="matches of the patterns", xlim=(0, 1.45 * kinds["all"].max()))
    left.legend(loc="lower right")
    right.barh(range(by_language.height), by_language["places"], color=PINK, height=0.66)
    for place, row in enumerate(by_language.iter_rows(named=True)):
        _label(right, f"{row['places']:,} in {_files(row['with_data'])}", (row["places"], place))
    right.set_yticks(range(by_language.height), by_language["language"])
    right.set(xlabel="places replaced", xlim=(0, 1.75 * (by_language["places"].max() or 1)))
    for axes in (left, right):
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=5)
    listed = "; ".join(f"{row['kind']} {row['replaced']:,} of {row['all']:,}" for row in kinds.iter_rows(named=True))
    where = "; ".join(
        f"{row['language']} {row['places']:,} in {_files(row['with_data'])}"
        for row in by_language.iter_rows(named=True)
    )
    return figure, f"Bars of matches replaced, by kind: {listed}. Places replaced by language: {where or 'none'}."


def rates(found: pl.DataFrame) -> tuple:
    """Recall and precision by placeholder with 95 % intervals, as points from 0 to 1.

    found: the frame of `refine.audit_transform.rates`.
    """
    if found.is_empty():
        return nothing_to_draw("Nothing was planted or labelled.")
    names = found["group"].unique(maintain_order=True).to_list()
    figure, axes = new_figure(height=1.0 + 0.46 * len(names))
    for at, (what, colour, marker) in enumerate(RATES):
        here = found.filter(pl.col("what") == what)
        places = [names.index(name) + 0.24 * (at - 1) for name in here["group"]]
        axes.errorbar(
            here["share"], places, xerr=_ends(here, "share"), fmt=marker, color=colour, markersize=5, elinewidth=1.4,
            capsize=2.5, label=what, clip_on=False,
        )  # fmt: skip
        for place, row in zip(places, here.iter_rows(named=True), strict=True):
            _label(axes, f"{row['hits']:,} of {row['count']:,}", (1, place), shift=9, size=7)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share, with its 95 % interval")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="center left")
    listed = "; ".join(
        f"{row['group']} {row['what']} {row['hits']:,} of {row['count']:,}" for row in found.iter_rows(named=True)
    )
    return figure, f"Points with intervals, by placeholder. {listed}."


def _ends(rows: pl.DataFrame, share: str) -> list[pl.Series]:
    """How far the interval reaches below and above each share; rounding must not make it negative."""
    return [(rows[share] - rows["low"]).clip(lower_bound=0), (rows["high"] - rows[share]).clip(lower_bound=0)]


def _label(axes, text: str, place: tuple, shift: int = 4, size: int = 8) -> None:
    axes.annotate(
        text, place, xytext=(shift, 0), textcoords="offset points", va="center", color=GREY, size=size,
        annotation_clip=False,
    )  # fmt: skip


def _files(count: int) -> str:
    return f"{count:,} file" + ("" if count == 1 else "s")
