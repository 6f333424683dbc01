"""The book's one look: transparent ground, mid-grey ink, Okabe-Ito colours, one colour per stage."""

from importlib.resources import as_file, files

import matplotlib
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PINK, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#808080"

STAGE_COLOUR = {
    "preprocess": BLUE,
    "exact": ORANGE,
    "fuzzy": GREEN,
    "transform": PINK,
    "filter": RED,
    "sample": SKY,
}
CATEGORY_COLOUR = {"code": BLUE, "data": ORANGE, "text": GREEN, "excluded": RED, "unknown": GREY}
MARKERS = ("o", "s", "^", "D", "v", "P")


def new_figure(rows: int = 1, columns: int = 1, width: float = 7.2, height: float = 4.0, **subplots):
    """A figure in the book's style and its axes, as plt.subplots returns them; sizes in inches.

    Made without pyplot, so a notebook never shows it twice and nothing stays open.
    """
    with as_file(files("opencoder_lib.plots") / "opencoder.mplstyle") as path:
        style = matplotlib.rc_params_from_file(path, use_default_template=False)
    matplotlib.rcParams.update(style)
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, **subplots)


def nothing_to_draw(what: str) -> tuple:
    """A figure that says there is nothing to show, and its alt text: a small corpus is no error."""
    figure, axes = new_figure(height=1.2)
    axes.set_axis_off()
    axes.text(0.5, 0.5, what, ha="center", va="center", color=GREY)
    return figure, what
