"""A training run: the loss beside the rate that drove it, and what the model is worth on unseen text."""

import numpy as np
import polars as pl

from opencoder_lib.plots.style import BLUE, GREEN, GREY, MARKERS, ORANGE, PINK, new_figure

# Baselines may lie close together, so they are told apart by their dashes and named in the legend.
LEVEL_DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (2, 4)))
ARM_LOOK = ((BLUE, "-"), (ORANGE, "--"), (PINK, ":"))


def loss_and_rate(log: pl.DataFrame, phases: dict[str, int], smooth: int = 10):
    """Training loss over tokens above, learning rate below, with lines where a phase begins.

    log: columns tokens, loss, learning_rate. phases: name and the tokens seen at which it begins. smooth: steps in
    the running mean that is drawn over the single steps.
    """
    figure, (top, bottom) = new_figure(2, 1, width=7.2, height=4.8, sharex=True, height_ratios=(2, 1))
    tokens = log["tokens"].to_numpy() / 1e3
    mean = log["loss"].rolling_mean(smooth, min_samples=1)
    top.plot(tokens, log["loss"], color=GREY, linewidth=0.6, alpha=0.6, label="each step")
    top.plot(tokens, mean, color=BLUE, label=f"mean of {smooth} steps")
    top.set_ylabel("training loss\n(nats a token)")
    top.legend()
    bottom.plot(tokens, log["learning_rate"], color=GREEN)
    bottom.set_ylim(bottom=0)
    bottom.set_ylabel("learning rate")
    bottom.set_xlabel("training tokens (thousands)")
    for name, start in phases.items():
        for ax in (top, bottom):
            ax.axvline(start / 1e3, color=GREY, linestyle=":", linewidth=1)
        top.annotate(
            name, (start / 1e3, 1), xycoords=("data", "axes fraction"), xytext=(3, -10), textcoords="offset points"
        )
    figure.align_ylabels()
    alt = (
        f"Training loss falls from {mean[0]:.2f} to {mean[-1]:.2f} nats a token over {tokens[-1]:,.0f} thousand "
        f"tokens; below it the learning rate, which peaks at {log['learning_rate'].max():.3g} and ends at "
        f"{log['learning_rate'][-1]:.3g}."
    )
    return figure, alt


def held_out_curves(curves: dict[str, pl.DataFrame], levels: dict[str, float], split: int):
    """Held-out bits per byte over training tokens, one line an arm, and flat lines for models that do not learn.

    curves: per arm a frame with tokens and held_out_bits_per_byte. levels: name and bits per byte of each baseline.
    split: the tokens seen at which the arms part; the right panel shows what follows, enlarged.
    """
    figure, (whole, end) = new_figure(1, 2, width=8.6, height=4.2, width_ratios=(2, 1))
    for (name, frame), (colour, line), marker in zip(curves.items(), ARM_LOOK, MARKERS, strict=False):
        look = {"color": colour, "linestyle": line, "marker": marker, "markersize": 4, "label": name}
        for ax, part in ((whole, frame), (end, frame.filter(pl.col("tokens") >= split))):
            ax.plot(part["tokens"] / 1e3, part["held_out_bits_per_byte"], **look)
    for (name, bits), dashes in zip(levels.items(), LEVEL_DASHES, strict=False):
        whole.axhline(bits, color=GREY, linestyle=dashes, linewidth=1.2, label=f"{name}: {bits:.2f}")
    top = max([*levels.values(), *(frame["held_out_bits_per_byte"].max() for frame in curves.values())])
    whole.set_ylim(0, 1.08 * top)
    whole.set_ylabel("held-out bits per byte")
    whole.legend(loc="lower left", fontsize="small")
    end.set_title("after the arms part, enlarged")
    for ax in (whole, end):
        ax.set_xlabel("training tokens (thousands)")
    ends = "; ".join(f"{name} ends at {frame['held_out_bits_per_byte'][-1]:.3f}" for name, frame in curves.items())
    flat = "; ".join(f"{name} {bits:.2f}" for name, bits in levels.items())
    return figure, f"Held-out bits per byte against training tokens: {ends}. Flat lines: {flat}."


def decay_by_repository(repositories: pl.DataFrame):
    """One dot a held-out repository: what the decay changed in its bits per byte, sorted.

    repositories: columns repo and difference (decayed minus constant).
    """
    ordered = repositories.sort("difference", descending=True)
    figure, ax = new_figure(width=7.2, height=0.9 + 0.2 * ordered.height)
    places = np.arange(ordered.height)
    ax.axvline(0, color=GREY, linewidth=1)
    ax.scatter(ordered["difference"], places, color=BLUE, s=22, zorder=3)
    ax.set_yticks(places, ordered["repo"])
    ax.set_ylim(-0.7, ordered.height - 0.3)
    ax.set_xlabel("bits per byte after decay minus without decay (negative: decay helps)")
    better = int((ordered["difference"] < 0).sum())
    return figure, (
        f"Dots of the change in bits per byte for {ordered.height} held-out repositories; {better} lie below zero, "
        f"from {ordered['difference'].min():.3f} to {ordered['difference'].max():.3f}."
    )
