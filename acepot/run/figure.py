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

__all__ = ["picture", "require_matplotlib"]

_DPI = 150
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
