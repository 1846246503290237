"""`acepot pareto`: the best model for a budget."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.fit import data_of, is_toml
from acepot.cli.options import add_keys, in_options, keys_by_option
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.fitting.config import FitConfig
from acepot.search.outcome import Outcome
from acepot.search.pareto import BEST, pareto
from acepot.search.results import PAGE
from acepot.search.settings import SearchConfig, SearchSettings, load_search

_EPILOG = """\
Models of several orders, cut-offs and sizes are fitted, each with every part of the training data
left out in turn, and timed. DIR then holds front.csv (all of them), front.html and front.png
(errors against cost), search.toml (every default written out) and in fits the settings of each
model that no other one beats, for acepot fit. With --budget the best model that costs no more is
fitted to all data, in DIR/best. Test data are never what a model is chosen by.
A search that is stopped, or killed, goes on when the same command is given again.
CONFIG.toml is that of a fit; [search] and [variant.NAME] in it say what is tried: docs/front.md.

examples:
  acepot pareto Si_train.xyz --test Si_test.xyz --out front
  acepot pareto Si_train.xyz --out front --budget 3
  acepot pareto Si_train.xyz --out front --orders 3 4 --cutoffs 5 5.5 --functions 250 500
"""
#: Options that a TOML file has in [search].
_SEARCH = ("orders", "cutoffs", "functions", "folds", "by", "measure")


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    add_data(verb)
    verb.add_argument(
        "--budget", type=float, metavar="µs", help="CPU time for an atom that the model may take"
    )
    verb.add_argument("--orders", type=int, nargs="+", metavar="N", help="orders (2 3 4 5)")
    verb.add_argument("--cutoffs", type=float, nargs="+", metavar="R", help="in Å (1.75 to 2.5 r0)")
    verb.add_argument(
        "--functions", type=int, nargs="+", metavar="N", help="sizes (40 80 160 ... 1280)"
    )
    verb.add_argument("--folds", type=int, metavar="N", help="parts left out in turn (4)")
    verb.add_argument("--by", choices=("both", "energy", "forces"), help="errors that count (both)")
    verb.add_argument("--measure", choices=("rmse", "mae"), help="kind of errors (rmse)")


def add_data(verb: argparse.ArgumentParser) -> None:
    """Options of a verb that fits many models to the same data."""
    verb.add_argument(
        "source", nargs="+", metavar="CONFIG.toml|TRAIN",
        help="a configuration, or the data: one file, several, or a 'pattern*.xyz'",
    )  # fmt: skip
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    verb.add_argument(
        "--test", action="append", metavar="FILE|FRACTION",
        help="data to predict only: a file, or a part of the data such as 0.1",
    )  # fmt: skip
    add_keys(verb)
    verb.add_argument(
        "--accept-labels", action="store_true", help="fit labels that seem wrong as they are"
    )
    verb.add_argument("--threads", type=int, metavar="N", help="structures at once (all cores)")
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = configuration(options, {name: getattr(options, name) for name in _SEARCH})
    found = pareto(
        config,
        options.out,
        say=show,
        budget=options.budget,
        threads=options.threads,
        plots=not options.no_plots,
    )
    show("\n" + _table(found, config.search.measure))
    show(f"\nwritten  {Path(options.out) / PAGE}")
    if options.budget is not None:
        show(f"written  {Path(options.out) / BEST / 'model.acepot'}")
    return 0


def configuration(options: argparse.Namespace, search: dict[str, object]) -> SearchConfig:
    """What the words on the command line mean.

    Args:
        options: with those of `add_data`.
        search: settings of the search, None where they are not given.

    Raises:
        InputError: options beside a TOML file, which would contradict it.
    """
    own = {f"--{name}": value for name, value in search.items() if value is not None}
    if is_toml(options.source):
        (path,) = options.source
        data = {
            "--test": options.test,
            "--keys": options.keys,
            "--ignore": options.ignore,
            "--units": options.units,
            "--accept-labels": options.accept_labels or None,
        }
        if given := [*own, *(name for name, value in data.items() if value is not None)]:
            raise InputError(
                f"{', '.join(given)}: not together with a TOML file; write it into {path}"
            )
        return load_search(path)
    try:
        with keys_by_option():
            settings = SearchSettings(
                **{name[2:]: tuple(v) if isinstance(v, list) else v for name, v in own.items()}  # type: ignore[arg-type]  # argparse made them
            )
            return SearchConfig(FitConfig(data_of(options, None)), settings, {})
    except InputError as error:
        raise InputError(in_options(str(error), options)) from error


def _table(found: list[Outcome], measure: str) -> str:
    """The front, for people."""
    kinds = {"energy": "meV/atom", "forces": "meV/Å"}
    keys = [key for name in kinds if (key := f"{name} {measure}") in found[0].left_out]
    tested = [key for key in keys if key in found[0].test]
    heads = [f"{k.split()[0]} {kinds[k.split()[0]]}" for k in keys] + [f"test {k}" for k in tested]
    width = max(len(one.name) for one in found)
    lines = [f"{'the front':{width}}  functions  µs/atom" + "".join(f"  {h:>16}" for h in heads)]
    for one in found:
        errors = [one.left_out[k] for k in keys] + [one.test[k] for k in tested]
        cells = "".join(f"  {value:16.3g}" for value in errors)
        lines.append(f"{one.name:{width}}  {one.functions:9d}  {one.cost:7.2f}{cells}")
    return "\n".join(lines)
