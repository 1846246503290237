"""A figure as a PNG file, in one style, whatever matplotlib is set to; matplotlib comes late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acepot.errors import MissingDependency
from acepot.io.files import replaced

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["logarithmic", "picture", "require_matplotlib"]

_DPI = 150
#: Numbers at a logarithmic axis, at most.
_TICKS = 8
_INK = "#333333"
_STYLE: dict[str, Any] = {
    "font.size": 8.5,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9.5,
    "axes.formatter.useoffset": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handletextpad": 0.2,
    "legend.borderaxespad": 0.6,
    "legend.labelspacing": 0.25,
    "text.color": _INK,
}


def require_matplotlib(instead: str = "") -> None:
    """Say at once, rather than after hours, that pictures cannot be drawn.

    Args:
        instead: how to do without them, where that is possible.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"pictures need matplotlib: pip install acepot[plot]{instead}"
        ) from error


@contextmanager
def picture(path: str | Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of the given size in inches, saved as PNG when the block ends well.

    No pyplot, the user's own settings do not matter and the file holds no date or version, so
    the same data give the same bytes.
    """
    try:
        from matplotlib import style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependency("pictures need matplotlib: pip install acepot[plot]") from error
    with style.context(["default", _STYLE]):
        figure = Figure((width, height))
        FigureCanvasAgg(figure)
        yield figure
        with replaced(path, "wb") as handle:
            figure.savefig(handle, format="png", dpi=_DPI, metadata={"Software": None})


def logarithmic(axis: Any, *, across: bool = True) -> None:
    """Make an axes logarithmic upwards, and across, with plain numbers at a few round values.

    Args:
        axis: with everything drawn in it.
        across: whether the horizontal axis is, too.
    """
    for name in ("x", "y")[not across :]:
        getattr(axis, f"set_{name}scale")("log")
        low, high = getattr(axis, f"get_{name}lim")()
        round_ones = [m * 10.0**k for k in range(-9, 10) for m in (1, 2, 3, 5, 7)]
        shown = [one for one in round_ones if low <= one <= high]
        if len(shown) > _TICKS:
            shown = [one for one in shown if f"{one:e}"[0] in "125"]
        if len(shown) > _TICKS:
            shown = [one for one in shown if f"{one:e}"[0] == "1"]
        getattr(axis, f"set_{name}ticks")(shown, [f"{one:g}" for one in shown])
        getattr(axis, f"set_{name}ticks")([], minor=True)
