"""`acepot converge`: errors against cut-off, order, degree and prior."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.pareto import add_data, configuration
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.search.convergence import PAGE, converge
from acepot.search.sweeps import SWEEPS, Sweep

_EPILOG = f"""\
One setting at a time takes several values, all others stay as in the fit that is given; errors are
those of structures left out of a fit, and of test data where there are any. Settings:
{", ".join(SWEEPS)} (cut-off in Å, cut-off in r0, correlation order, largest degree, exponent of
the smoothness prior). Without --sweep the last four are swept.
DIR then holds convergence.csv, convergence.html and convergence.png. What is stopped, or killed,
goes on when the same command is given again. docs/front.md says what to expect.

examples:
  acepot converge fit.toml --sweep cutoff 4 5 6 --out sweeps
  acepot converge Si_train.xyz --test Si_test.xyz --sweep order 1 2 3 4 --sweep degree 8 12 16 20 \\
      --out sweeps
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    add_data(verb)
    verb.add_argument(
        "--sweep", nargs="+", action="append", default=[], metavar="SETTING VALUE",
        help="a setting and the values that it takes, once or several times",
    )  # fmt: skip
    verb.add_argument("--folds", type=int, metavar="N", help="parts left out in turn (4)")
    verb.add_argument("--measure", choices=("rmse", "mae"), help="kind of errors (rmse)")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    found = configuration(options, {"folds": options.folds, "measure": options.measure})
    converge(
        found.fit,
        options.out,
        [_sweep(words) for words in options.sweep],
        found.search,
        say=show,
        threads=options.threads,
        plots=not options.no_plots,
    )
    show(f"\nwritten  {Path(options.out) / PAGE}")
    return 0


def _sweep(words: list[str]) -> Sweep:
    """The sweep that words mean.

    Raises:
        InputError: no numbers, or an unknown setting.
    """
    setting, *values = words
    try:
        numbers = tuple(map(float, values))
    except ValueError:
        raise InputError(f"--sweep {setting}: expected numbers, got {' '.join(values)}") from None
    return Sweep(setting, numbers)
