"""What a corpus is made of: languages by files and by bytes, and what sampling leaves of them."""

from collections.abc import Mapping

import polars as pl

from opencoder_lib import GB, MB
from opencoder_lib.plots.style import BLUE, CATEGORY_COLOUR, GREY, SKY, STAGE_COLOUR, new_figure, nothing_to_draw

CATEGORY_HATCH = {"code": "", "data": "////", "text": "....", "excluded": "xxxx", "unknown": "----"}
OTHER = "other"
BEFORE = {"color": STAGE_COLOUR["sample"], "alpha": 0.3, "hatch": "////", "edgecolor": GREY}
AFTER = {"color": STAGE_COLOUR["sample"], "edgecolor": "none"}


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


def before_and_after(
    composed: pl.DataFrame, budgets: Mapping[str, int] | None = None, top: int = 15, logarithmic: bool = True
) -> tuple:
    """The `top` languages before and after sampling, by size on the left and by files on the right.

    composed: language, files_before, files_after, bytes_before, bytes_after, as `composition` gives them; a null
    after is a number that is not known. The pale hatched bar is what sampling found, the solid one what it left, the
    upright mark a budget. Languages with a budget are always shown; all others together are one more pair of bars.
    """
    budgets = budgets or {}
    rows = _shown(composed, list(budgets), top)
    if not rows or not any(row["bytes_before"] for row in rows):
        return nothing_to_draw("No file reached the sampling.")
    figure, (left, right) = new_figure(1, 2, height=1.2 + 0.27 * len(rows), sharey=True)
    unit, name = (GB, "GB") if max(row["bytes_before"] for row in rows) >= GB else (MB, "MB")
    scale = "logarithmic" if logarithmic else "linear"
    _pairs(left, rows, "bytes", unit, f"size ({name}, {scale})", logarithmic)
    _pairs(right, rows, "files", 1, f"files ({scale})", logarithmic)
    for place, row in enumerate(rows):
        if row["language"] in budgets:
            left.plot([budgets[row["language"]] / unit] * 2, [place - 0.48, place + 0.48], color=GREY, linewidth=2.5)
    left.set_yticks(range(len(rows)), [row["language"] for row in rows])
    left.invert_yaxis()
    bars = [right.barh(0, 0, **look) for look in (BEFORE, AFTER)] + left.plot([], [], color=GREY, linewidth=2.5)
    figure.legend(bars, ["before", "after", "budget"], loc="outside upper center", ncols=3)
    cut = [row for row in rows if row["bytes_after"] is not None and row["bytes_after"] < row["bytes_before"]]
    told = "; ".join(
        f"{row['language']} falls from {row['bytes_before'] / unit:,.3g} to {row['bytes_after'] / unit:,.3g} {name}"
        for row in cut
    )
    first = ", ".join(f"{row['language']} {row['bytes_before'] / unit:,.3g} {name}" for row in rows[:3])
    alt = (
        f"Two bar charts of the same {len(rows)} languages before and after sampling, by size and by number of files, "
        f"on {scale} axes. Largest before: {first}. {told or 'No language was cut'}; all others stay as they were."
    )
    return figure, alt


def _shown(composed: pl.DataFrame, always: list[str], top: int) -> list[dict]:
    """The rows to draw, most bytes before first, then one for all others together."""
    ordered = composed.sort("bytes_before", "language", descending=[True, False]).with_row_index("_at")
    first = (pl.col("_at") < top) | pl.col("language").is_in(always)
    shown, rest = ordered.filter(first).to_dicts(), ordered.filter(~first)
    if rest.height:
        sums = rest.select(pl.col("^(files|bytes)_(before|after)$").sum()).row(0, named=True)
        shown.append({"language": f"{OTHER} ({rest.height})"} | sums)
    return shown


def _pairs(axes, rows: list[dict], what: str, unit: int, label: str, logarithmic: bool) -> None:
    before = [row[f"{what}_before"] / unit for row in rows]
    after = [None if row[f"{what}_after"] is None else row[f"{what}_after"] / unit for row in rows]
    seen = [value for value in (*before, *after) if value]
    # Bars on a logarithmic axis have no zero; all start from one place and their ends are compared.
    start = min(seen, default=1) / 2 if logarithmic else 0
    for place, (was, now) in enumerate(zip(before, after, strict=True)):
        for value, look in ((was, BEFORE), (now, AFTER)):
            axes.barh(place, max((value or 0) - start, 0), left=start, height=0.7, **look)
        text = _number(was) if now == was else f"{_number(was)} → {'not given' if now is None else _number(now)}"
        axes.annotate(
            text, (max(was, start), place), xytext=(4, 0), textcoords="offset points", va="center", color=GREY, size=8
        )
    most = max(seen, default=1)
    axes.set(xscale="log" if logarithmic else "linear", xlabel=label)
    axes.set_xlim(start, start * (most / start) ** 1.3 if logarithmic else most * 1.5)
    if not logarithmic:
        axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: _number(value))
    axes.grid(axis="y", visible=False)


def _number(value: float) -> str:
    """A number that fits beside a bar: millions as M."""
    if value >= 1e6:
        return f"{value / 1e6:,.3g} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def cut_off(places: pl.DataFrame, budget: int, at: float, language: str) -> tuple:
    """Bytes of one language that stand before each place in the order of sampling, and where the budget ends them.

    places: `place` and `n_bytes` of its files, as `sampling.keys` gives them; budget in bytes; at: the cut-off.
    """
    line = places.sort("place").select("place", sum=pl.col("n_bytes").cum_sum())
    if not line.height:
        return nothing_to_draw(f"There is no {language} file.")
    unit, name = (MB, "MB") if line["sum"][-1] >= MB else (1000, "kB")
    figure, axes = new_figure(height=3.0)
    x, y = [0, *line["place"], 1], [0, *line["sum"] / unit]
    y.append(y[-1])
    kept = line.filter(pl.col("place") < at).height
    axes.step(x, y, where="post", color=GREY, linewidth=1, label="all files")
    axes.fill_between(
        [*x[: kept + 1], at], [*y[: kept + 1], y[kept]], step="post", label="kept", **AFTER | {"alpha": 0.8}
    )
    axes.axhline(budget / unit, color=GREY, linestyle="--", label="budget")
    axes.axvline(at, color=GREY, linestyle=":", label="cut-off")
    axes.set(
        xlabel="place in the order of the hash", ylabel=f"{language} up to here ({name})", xlim=(0, 1), ylim=(0, None)
    )
    axes.legend(loc="upper left")
    limit = f"{budget / unit:,.3g} {name}"
    ended = f"The budget of {limit} is reached at place {at:.3f}; the {kept:,} files before it are kept."
    if at >= 1:
        ended = f"All of them fit the budget of {limit}."
    alt = (
        f"A rising line of the bytes of {language} by place in the order of the hash, to {y[-1]:,.3g} {name} in "
        f"{line.height:,} files. {ended}"
    )
    return figure, alt


def choices(table: pl.DataFrame, language: str) -> tuple:
    """How far each way to choose within a budget moves the mixture of repositories: a dot each, a range for a hash.

    table: the frame of `compare_choices`; rows without a `frac_mixture_moved` are left out.
    """
    rows = table.filter(pl.col("frac_mixture_moved").is_not_null(), pl.col("choice") != "no cut").to_dicts()
    if not rows:
        return nothing_to_draw("No choice keeps a byte.")
    figure, axes = new_figure(height=0.9 + 0.35 * len(rows))
    for place, row in enumerate(rows):
        low, high = row["frac_mixture_moved_lowest"], row["frac_mixture_moved_highest"]
        if low is not None:
            axes.plot([100 * low, 100 * high], [place, place], color=SKY, linewidth=6, alpha=0.5)
        axes.plot(
            100 * row["frac_mixture_moved"], place, marker="o" if low is not None else "D", color=BLUE, linestyle=""
        )
        text = f"{row['frac_mixture_moved']:.0%}, {row['files']:,} files of {row['repos']:,} repositories"
        where = max(row["frac_mixture_moved"], high or 0)
        axes.annotate(
            text, (100 * where, place), xytext=(8, 0), textcoords="offset points", va="center", color=GREY, size=8
        )
    axes.set_yticks(range(len(rows)), [row["choice"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel=f"bytes of {language} that would have to change repository (%)", xlim=(0, 100))
    axes.grid(axis="y", visible=False)
    told = []
    for row in rows:
        low, high = row["frac_mixture_moved_lowest"], row["frac_mixture_moved_highest"]
        spread = "" if low is None else f" ({low:.0%} to {high:.0%} under other keys)"
        told.append(f"{row['choice']} {row['frac_mixture_moved']:.0%}{spread}")
    alt = f"Dots of the share of {language} that would have to change repository for the mixture before: "
    return figure, f"{alt}{'; '.join(told)}."
