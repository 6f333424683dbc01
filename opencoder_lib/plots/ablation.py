"""The runs of an experiment: curves with bands over seeds, paired differences, and the units behind them."""

import numpy as np
import polars as pl

from opencoder_lib.plots.style import BLUE, GREEN, GREY, MARKERS, ORANGE, PINK, RED, SKY, new_figure

ARM_COLOURS = (BLUE, ORANGE, GREEN, PINK, RED, SKY, GREY)
ARM_DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))


def looks(arms) -> dict[str, dict]:
    """Colour, dashes and marker of each arm, the same in every figure of a chapter."""
    return {
        arm: {
            "color": ARM_COLOURS[at % len(ARM_COLOURS)],
            "linestyle": ARM_DASHES[at % len(ARM_DASHES)],
            "marker": MARKERS[at % len(MARKERS)],
        }
        for at, arm in enumerate(arms)
    }


def curves(losses: pl.DataFrame, evaluations: pl.DataFrame, held_out: str, arms, since: int = 0):
    """Training loss on the left, held-out bits per byte on the right; a line an arm, a band from its lowest to its
    highest seed.

    losses: arm, seed, tokens, loss. evaluations: arm, seed, set, tokens, bits_per_byte; drawn is the set `held_out`.
    since: tokens before which nothing is drawn, because the first steps would squeeze the rest.
    """
    figure, (left, right) = new_figure(1, 2, width=8.6, height=4.0)
    scored = evaluations.filter(pl.col("set") == held_out)
    ends = []
    for arm, look in looks(arms).items():
        line = {key: look[key] for key in ("color", "linestyle")}
        _band(left, losses.filter((pl.col("arm") == arm) & (pl.col("tokens") >= since)), "loss", line, arm)
        own = scored.filter((pl.col("arm") == arm) & (pl.col("tokens") >= since))
        _band(right, own, "bits_per_byte", line | {"marker": look["marker"], "markersize": 4}, arm)
        last = own.filter(pl.col("tokens") == pl.col("tokens").max())["bits_per_byte"].mean()
        ends.append(f"{arm} ends at {last:.3f}")
    left.set_ylabel("training loss (nats a token)")
    right.set_ylabel(f"bits per byte, {held_out}")
    for ax in (left, right):
        ax.set_xlabel("training tokens (thousands)")
    left.legend(fontsize="small")
    return figure, f"Training loss and held-out bits per byte ({held_out}) over tokens; {'; '.join(ends)}."


def _band(ax, rows: pl.DataFrame, column: str, look: dict, name: str) -> None:
    by_tokens = rows.group_by("tokens").agg(
        pl.col(column).mean().alias("mean"), pl.col(column).min().alias("low"), pl.col(column).max().alias("high")
    )
    by_tokens = by_tokens.sort("tokens")
    tokens = by_tokens["tokens"].to_numpy() / 1e3
    ax.plot(tokens, by_tokens["mean"], label=name, **look)
    ax.fill_between(tokens, by_tokens["low"], by_tokens["high"], color=look["color"], alpha=0.15, linewidth=0)


def differences(paired: dict[str, pl.DataFrame], units: dict[str, str] | None = None):
    """Each arm's mean difference to the baseline with its 95 % t interval, and a dot a seed; one panel a metric.

    paired: metric -> frame of `evaluate.ablation.paired`. units: metric -> unit, where it is not bits per byte. Left of
    zero is less than the baseline.
    """
    units = dict.fromkeys(paired, "bits per byte") | (units or {})
    arms = list(dict.fromkeys(arm for frame in paired.values() for arm in frame["arm"]))
    size = {"width": max(5.2, 3.6 * len(paired)), "height": 1.3 + 0.55 * len(arms)}
    figure, axes = new_figure(1, len(paired), sharey=True, squeeze=False, **size)
    look, told = looks(["baseline", *arms]), []
    for ax, (metric, frame) in zip(axes[0], paired.items(), strict=True):
        ax.axvline(0, color=GREY, linewidth=1)
        for row in frame.iter_rows(named=True):
            place = len(arms) - 1 - arms.index(row["arm"])
            style = {"color": look[row["arm"]]["color"]}
            ax.scatter(row["differences"], np.full(len(row["differences"]), place - 0.18), s=14, alpha=0.6, **style)
            if row["low"] is not None:
                ax.plot([row["low"], row["high"]], [place, place], linewidth=2, **style)
            ax.scatter([row["difference"]], [place], s=42, zorder=3, marker=look[row["arm"]]["marker"], **style)
            interval = "" if row["low"] is None else f" ({row['low']:+.3f} to {row['high']:+.3f})"
            told.append(f"{metric}, {row['arm']}: {row['difference']:+.3f}{interval} {units[metric]}")
        ax.set_title(metric, fontsize="medium")
        # Small differences have long numbers, which would run into each other.
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel(f"difference ({units[metric]})")
        ax.set_ylim(-0.6, len(arms) - 0.4)
    axes[0][0].set_yticks(range(len(arms)), arms[::-1])
    return figure, f"Paired differences to the baseline. {'; '.join(told)}."


def by_unit(by_unit: pl.DataFrame, what: str, arm: str, baseline: str, most: int = 40):
    """One dot a held-out unit: what it costs more in `arm` than in the baseline, sorted.

    by_unit: unit, difference, as `evaluate.ablation.over_units` gives. what: the plural of the units, as in
    'repositories'. Of more than `most` units those in the middle are left out of the picture, which then says so.
    """
    ordered = by_unit.sort("difference", "unit")
    left_out = max(0, ordered.height - most)
    if left_out:
        ordered = pl.concat([ordered.head(most // 2), ordered.tail(most - most // 2)])
    figure, ax = new_figure(width=7.2, height=1.0 + 0.19 * ordered.height)
    ax.axvline(0, color=GREY, linewidth=1)
    ax.scatter(ordered["difference"], range(ordered.height), color=BLUE, s=20, zorder=3)
    ax.set_yticks(range(ordered.height), ordered["unit"], fontsize="small")
    ax.set_ylim(-0.7, ordered.height - 0.3)
    note = f"; {left_out} {what} in the middle are not drawn" if left_out else ""
    ax.set_xlabel(f"bits per byte, {arm} minus {baseline}{note}")
    worse = int((by_unit["difference"] > 0).sum())
    return figure, (
        f"Dots of the difference in bits per byte for {by_unit.height} {what}; {worse} cost more in {arm}, from "
        f"{by_unit['difference'].min():+.3f} to {by_unit['difference'].max():+.3f}{note}."
    )


def signature(training: pl.DataFrame, held_out: pl.DataFrame, metric: str):
    """One point an arm and seed: the change of the training loss against that of the held-out score.

    training, held_out: frames of `evaluate.ablation.paired` with the same arms and seeds. The shaded quarter is where
    the training loss falls while unseen text costs more.
    """
    figure, ax = new_figure(width=6.4, height=4.4)
    arms, told = training["arm"].to_list(), []
    for arm, look in list(looks(["baseline", *arms]).items())[1:]:
        loss = training.row(by_predicate=pl.col("arm") == arm, named=True)["differences"]
        bits = held_out.row(by_predicate=pl.col("arm") == arm, named=True)["differences"]
        ax.scatter(loss, bits, color=look["color"], marker=look["marker"], s=30, label=arm, zorder=3)
        told.append(f"{arm}: {np.mean(loss):+.3f} nats, {np.mean(bits):+.3f} bits")
    ax.axhline(0, color=GREY, linewidth=1)
    ax.axvline(0, color=GREY, linewidth=1)
    left, top = min(ax.get_xlim()[0], -1e-3), max(ax.get_ylim()[1], 1e-3)
    ax.fill_between([left, 0], 0, top, color=GREY, alpha=0.12, linewidth=0)
    ax.set_xlim(left=left)
    ax.set_ylim(top=top)
    ax.set_xlabel("training loss minus the baseline's (nats a token)")
    ax.set_ylabel(f"{metric} minus the baseline's\n(bits per byte)")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure, f"Change of training loss against change of {metric}, arms against the baseline: {'; '.join(told)}."
