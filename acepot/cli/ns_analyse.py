"""`acepot ns-analyse`: what nested sampling runs say about a material."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.io.registry import load
from acepot.potential import Potential
from acepot.run.figure import require_matplotlib
from acepot.run.publication import publishing
from acepot.sampling.analysis.figure import draw_curves, draw_diagram
from acepot.sampling.analysis.pipeline import Choices, analyse
from acepot.sampling.analysis.report import tables, write
from acepot.units import GIGAPASCAL

_FILES = ("curves.png", "diagram.png", "curves.csv", "analysis.json")
_EPILOG = """\
Several folders are independent runs of the same TOML file with different seeds; their scatter gives
the errors. One run alone has the errors of its compressions. docs/ns_analyse.md says what the
numbers mean and which of them to trust.

OUT then holds analysis.json (everything), curves.csv (thermodynamic functions over temperature),
curves.png and diagram.png.

examples:
  acepot ns-analyse run
  acepot ns-analyse run-1 run-2 run-3 --out analysis --structures
  acepot ns-analyse run --quench Si/model.acepot --temperatures 300 3000
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    default = Choices()
    verb.epilog = _EPILOG
    verb.add_argument("folders", metavar="DIR", nargs="+", help="folder of a run")
    verb.add_argument(
        "--out", metavar="OUT", help="folder for the results (analysis in the first DIR)"
    )
    verb.add_argument(
        "--temperatures", nargs=2, type=float, metavar=("LOW", "HIGH"),
        help="range in K (all that the runs suffice for)",
    )  # fmt: skip
    verb.add_argument(
        "--count", type=int, default=default.count, metavar="N",
        help=f"how many temperatures ({default.count})",
    )  # fmt: skip
    verb.add_argument(
        "--redraws", type=int, default=default.redraws, metavar="N",
        help=f"how often the compressions of a run are drawn anew ({default.redraws})",
    )  # fmt: skip
    verb.add_argument(
        "--seed", type=int, default=default.seed, metavar="N", help="of these draws (0)"
    )
    verb.add_argument(
        "--pressures", nargs="+", type=float, default=[], metavar="P",
        help="further pressures in GPa, by reweighting",
    )  # fmt: skip
    verb.add_argument(
        "--structures", action="store_true", help="label the structures of the phases"
    )
    verb.add_argument("--quench", metavar="MODEL", help="label them after a quench with this model")
    verb.add_argument(
        "--tolerance", type=float, default=default.tolerance, metavar="A",
        help=f"of space groups in Å ({default.tolerance})",
    )  # fmt: skip
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if not options.no_plots:
        require_matplotlib("; or --no-plots")
    out = Path(options.out or Path(options.folders[0]) / "analysis")
    choices = Choices(
        temperatures=options.temperatures and tuple(options.temperatures),
        count=options.count,
        redraws=options.redraws,
        seed=options.seed,
        pressures=tuple(one * GIGAPASCAL for one in options.pressures),
        structures=options.structures or options.quench is not None,
        tolerance=options.tolerance,
    )
    potential = None if options.quench is None else Potential(load(options.quench))
    analysis = analyse(options.folders, choices, potential, say=show)
    with publishing(out, _FILES, show, what="analysis") as files:
        write(analysis, files.file("analysis.json").parent)
        if not options.no_plots:
            draw_curves(analysis, files.file("curves.png"))
            draw_diagram(analysis, files.file("diagram.png"))
    show(tables(analysis))
    show(f"written  {out}")
    return 0
