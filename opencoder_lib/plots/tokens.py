"""What a tokenizer makes of a corpus: bytes in a token, and documents cut into windows."""

import numpy as np
import polars as pl
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from opencoder_lib.plots.style import BLUE, GREEN, GREY, MARKERS, ORANGE, PINK, RED, SKY, new_figure, nothing_to_draw

LINE_COLOURS = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
BORDER_LINES = {
    "frac_windows_with_border": ("windows with a border", BLUE, "o", "-"),
    "frac_tokens_mixed": ("tokens that can see another document", ORANGE, "s", "--"),
    "frac_pairs_across": ("pairs of tokens across a border", GREEN, "^", ":"),
}


def bytes_per_token(frame: pl.DataFrame):
    """Bytes that make a token over the size of the vocabulary, one line a language, the first six in the frame.

    frame: columns vocab_size, language, bytes_per_token and plus_minus (half an interval, null for none).
    """
    if frame.is_empty():
        return nothing_to_draw("No text to count tokens of.")
    figure, ax = new_figure(width=7.2, height=4.2)
    sizes = sorted(frame["vocab_size"].unique())
    languages = frame["language"].unique(maintain_order=True).to_list()[: len(MARKERS)]
    said = []
    for place, (language, colour, marker) in enumerate(zip(languages, LINE_COLOURS, MARKERS, strict=False)):
        line = frame.filter(pl.col("language") == language).sort("vocab_size")
        # Beside each other, not over each other: bars of one size would hide one another.
        shifted = line["vocab_size"] * 1.03 ** (place - (len(languages) - 1) / 2)
        bars = line["plus_minus"].cast(pl.Float64).fill_null(0).to_numpy()
        ax.errorbar(
            shifted,
            line["bytes_per_token"],
            bars,
            color=colour,
            marker=marker,
            capsize=2,
            elinewidth=0.9,
            label=language,
        )
        said.append(f"{language} from {line['bytes_per_token'][0]:.2f} to {line['bytes_per_token'][-1]:.2f}")
    ax.set_xscale("log", base=2)
    _name_ticks(ax, sizes)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("tokens in the vocabulary")
    ax.set_ylabel("bytes in a token")
    ax.legend(loc="lower right", ncols=2)
    return figure, f"Bytes in a token for vocabularies of {sizes[0]:,} to {sizes[-1]:,} tokens: {'; '.join(said)}."


def documents_and_windows(lengths_D: np.ndarray, borders: pl.DataFrame, context: int):
    """Left: share of documents, and of tokens, in documents up to a length. Right: what windows of each length cut.

    lengths_D: tokens of each document. borders: columns length, frac_windows_with_border, frac_tokens_mixed and
    frac_pairs_across. context: the window that is trained with, drawn as a line.
    """
    figure, (left, right) = new_figure(1, 2, width=8.6, height=3.9)
    lengths = np.sort(lengths_D)
    documents = np.arange(1, len(lengths) + 1) / len(lengths)
    left.step(lengths, documents, where="post", color=BLUE, label="of the documents")
    left.step(
        lengths, lengths.cumsum() / lengths.sum(), where="post", color=ORANGE, linestyle="--", label="of the tokens"
    )
    left.set_xscale("log", base=10)
    left.set_xlabel("tokens in a document, at most")
    left.legend(loc="lower right")
    for column, (name, colour, marker, dashes) in BORDER_LINES.items():
        right.plot(borders["length"], borders[column], color=colour, marker=marker, linestyle=dashes, label=name)
    right.set_xscale("log", base=2)
    _name_ticks(right, borders["length"].to_list())
    right.set_xlabel("tokens in a window")
    right.legend(loc="upper left")
    for ax in (left, right):
        ax.axvline(context, ymax=0.7, color=GREY, linestyle=":", linewidth=1)
        ax.set_ylim(0, 1.02)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    rows = [
        f"{row['length']:,} tokens: {row['frac_windows_with_border']:.0%} of windows, "
        f"{row['frac_tokens_mixed']:.0%} of tokens, {row['frac_pairs_across']:.0%} of pairs"
        for row in borders.iter_rows(named=True)
    ]
    short = float((lengths <= context).mean())
    return figure, (
        f"{short:.0%} of {len(lengths):,} documents have at most {context:,} tokens; the median has "
        f"{np.median(lengths):,.0f}. Windows that hold a border, by length: {'; '.join(rows)}."
    )


def _name_ticks(ax, values: list[int]) -> None:
    ax.xaxis.set_major_locator(FixedLocator(values))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
