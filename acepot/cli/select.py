"""`acepot select`: the structures of a pool that are most worth labelling."""

from __future__ import annotations

import argparse

from acepot.cli.data_select import pool_and_given
from acepot.cli.options import add_keys
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.evaluate.native import processors
from acepot.io.registry import load
from acepot.io.structures.extxyz import write_structures
from acepot.model import Model
from acepot.structure import Structure

_EPILOG = """\
Structures are written in the order in which they were taken, with all labels they have.

--by uncertainty    the largest relative uncertainty of a force, sigma/(|F| + epsilon), as acepot
                    hal ends walks; after each structure the posterior is what it will be with its
                    labels. Needs --model and --posterior.
--by extrapolation  the largest grade of extrapolation of an atom. Needs --model, and in --given the
                    data it was fitted to.
--by information    the most information about a model's coefficients, a D-optimal choice, as
                    acepot data select makes it. Needs no model.

examples:
  acepot select md.xyz --model run/model.acepot --posterior run/posterior.acepot \\
      --count 50 --out chosen.extxyz
  acepot select md.xyz --by extrapolation --model Si/model.acepot --given train.xyz \\
      --count 50 --out chosen.extxyz
  acepot select md.xyz --by information --given train.xyz --count 50 --out chosen.extxyz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("files", nargs="+", metavar="POOL", help="structures, or a 'pattern*.xyz'")
    verb.add_argument("--count", type=int, required=True, metavar="N", help="how many")
    verb.add_argument("--out", required=True, metavar="FILE.extxyz", help="file for the chosen")
    verb.add_argument(
        "--by", choices=("uncertainty", "extrapolation", "information"), default="uncertainty",
        help="what decides [%(default)s]",
    )  # fmt: skip
    verb.add_argument("--model", metavar="FILE", help="a model file")
    verb.add_argument("--posterior", metavar="FILE", help="of the model")
    verb.add_argument("--epsilon", type=float, default=0.2, metavar="E", help="eV/Å [%(default)s]")
    verb.add_argument(
        "--given", action="append", metavar="FILE", help="structures that are labelled already"
    )
    add_keys(verb)
    verb.add_argument("--threads", type=int, metavar="N", help="structures at once (all cores)")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if options.count < 1:
        raise InputError(f"--count: expected one structure at least, got {options.count}")
    if not options.epsilon > 0:
        raise InputError(f"--epsilon: expected more than 0 eV/Å, got {options.epsilon:g}")
    pool, given = pool_and_given(options)
    threads = options.threads or processors()
    if options.by == "information":
        from acepot.survey.selection import select

        found = select(pool, count=options.count, given=given, threads=threads, watched=True)
        places = found.chosen
        words = f"hold {100 * found.information:.1f} % of the information"
    else:
        places, words = _by_model(options, pool, given, threads)
    write_structures(options.out, [pool[k] for k in places])
    show(f"{len(places)} of {len(pool)} structures {words}")
    show(f"written  {options.out}")
    return 0


def _by_model(
    options: argparse.Namespace, pool: list[Structure], given: list[Structure], threads: int
) -> tuple[tuple[int, ...], str]:
    """Places of the chosen, and a few words about their grades."""
    from acepot.hal.selection import by_extrapolation, by_uncertainty
    from acepot.uncertainty.extrapolation import SiteFunctions
    from acepot.uncertainty.posterior_file import load_posterior

    if options.model is None:
        raise InputError(f"--model: expected a model file for --by {options.by}, got none")
    model = load(options.model)
    if not isinstance(model, Model):
        raise InputError(f"--model: {options.model}: expected a model of energies")
    if options.by == "uncertainty":
        if options.posterior is None:
            raise InputError(
                "--posterior: expected the posterior of the model, which acepot hal and a fit with "
                "committee.calibrate leave beside it, got none"
            )
        posterior = load_posterior(options.posterior, model)
        found = by_uncertainty(
            pool, posterior, options.count, regularisation=options.epsilon, threads=threads,
            watched=True,
        )  # fmt: skip
        what = "relative uncertainty of a force"
    else:
        if not given:
            raise InputError("--given: expected the data that the model was fitted to, got none")
        functions = SiteFunctions.of_model(model, threads=threads)
        found = by_extrapolation(pool, functions, given, options.count)
        what = "grade of extrapolation"
    first, last = found.grades[0], found.grades[-1]
    return (
        found.places,
        f"with a largest {what} of {first:.3g} to {last:.3g}, next {found.left:.3g}",
    )
