"""What a corpus is made of: languages by files and by bytes."""

import polars as pl

from opencoder_lib import MB
from opencoder_lib.plots.style import CATEGORY_COLOUR, GREY, new_figure, nothing_to_draw

CATEGORY_HATCH = {"code": "", "data": "////", "text": "....", "excluded": "xxxx", "unknown": "----"}
OTHER = "other"


def languages(counts: pl.DataFrame, top: int = 20) -> tuple:
    """The `top` languages as bars, by bytes on the left and by files on the right; the rest is 'other'.

    counts: one row per language with `language`, `category`, `n_files`, `n_bytes`, as `count_languages` gives it.
    Both axes are logarithmic, since the first language is a thousand times the twentieth, and say so.
    """
    if counts.is_empty():
        return nothing_to_draw("No file is left.")
    shown = counts.sort("n_bytes", "language", descending=[True, False])
    rows = [(row["language"], row["category"], row["n_bytes"], row["n_files"]) for row in shown.head(top).to_dicts()]
    rest = shown.slice(top)
    if rest.height:
        label = f"{OTHER} ({rest.height})"
        rows.append((label, "unknown", int(rest["n_bytes"].sum()), int(rest["n_files"].sum())))
    names = [name for name, *_ in rows]
    figure, (left, right) = new_figure(1, 2, height=0.9 + 0.25 * len(rows), sharey=True)
    for axes, values, label in (
        (left, [size / MB for _, _, size, _ in rows], "size (MB, logarithmic)"),
        (right, [n for *_, n in rows], "files (logarithmic)"),
    ):
        # A bar on a logarithmic axis has no zero to start from; start all at one place and let the eye compare ends.
        start = min((value for value in values if value > 0), default=1) / 2
        for place, (value, (_, category, *_)) in enumerate(zip(values, rows, strict=True)):
            colour = CATEGORY_COLOUR[category]
            axes.barh(
                place,
                max(value - start, 0),
                left=start,
                color=colour,
                hatch=CATEGORY_HATCH[category],
                edgecolor="white",
            )
            text = f"{value:,.0f}" if value >= 100 or label.startswith("files") else f"{value:.2g}"
            axes.annotate(
                text, (value, place), xytext=(3, 0), textcoords="offset points", va="center", color=GREY, size=8
            )
        axes.set(xscale="log", xlabel=label, xlim=(start, max(*values, start) * 4))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.grid(axis="y", visible=False)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    used = [category for category in CATEGORY_COLOUR if any(row[1] == category and row[0][:5] != OTHER for row in rows)]
    bars = [
        right.barh(0, 0, color=CATEGORY_COLOUR[kind], hatch=CATEGORY_HATCH[kind], edgecolor="white") for kind in used
    ]
    right.legend(bars, used, loc="lower right", title="category", title_fontproperties={"size": 9})
    total = int(shown["n_bytes"].sum())
    first = ", ".join(f"{name} {size / MB:,.1f} MB in {n:,} files" for name, _, size, n in rows[:5])
    alt = (
        f"Two bar charts of the same {len(rows)} languages, by size and by number of files, on logarithmic axes. "
        f"Of {total / MB:,.1f} MB in {shown.height} languages the largest are {first}."
    )
    return figure, alt
