"""`acepot data-select`, or `acepot data select`: a D-optimal choice of structures."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from acepot.cli.options import add_keys, keys_by_option, label_keys
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.evaluate.native import processors
from acepot.io.structures.extxyz import write_structures
from acepot.structure import Structure
from acepot.survey.selection import select
from acepot.survey.survey import read
from acepot.survey.words import text_table

_EPILOG = """Structures are taken one after the other, always the one that adds most information
about a model's coefficients to those that are there (log det of the basis functions of all atoms).
They are written in this order with all their labels, single atoms with an energy first. Labels are
not needed for the choice.

examples:
  acepot data-select pool.xyz --count 200 --out train.xyz
  acepot data-select pool*.xyz --atoms 5000 --given train.xyz --out further.xyz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("files", nargs="+", metavar="POOL", help="structures, or a 'pattern*.xyz'")
    size = verb.add_mutually_exclusive_group(required=True)
    size.add_argument("--count", type=int, metavar="N", help="how many structures")
    size.add_argument(
        "--atoms", type=int, metavar="N", help="how many atoms, by what is added per atom"
    )
    verb.add_argument("--out", required=True, metavar="FILE.extxyz", help="file for the chosen")
    verb.add_argument(
        "--given", action="append", metavar="FILE", help="structures that are there already"
    )
    add_keys(verb)
    verb.add_argument("--threads", type=int, metavar="N", help="structures at once (all cores)")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    pool, given = pool_and_given(options)
    found = select(
        pool,
        count=options.count,
        atoms=options.atoms,
        given=given,
        threads=options.threads or processors(),
        watched=True,
    )
    chosen = [pool[k] for k in found.chosen]
    write_structures(options.out, chosen)
    taken, there = Counter(s.config_type for s in chosen), Counter(s.config_type for s in pool)
    rows = [[name, str(taken[name]), str(number)] for name, number in there.most_common()]
    show(text_table(("config_type", "chosen", "of"), rows))
    show(
        f"{len(chosen)} of {len(pool)} structures, {sum(map(len, chosen))} of "
        f"{sum(map(len, pool))} atoms, hold {100 * found.information:.1f} % of the information "
        f"about {found.functions} functions (log det)"
    )
    show(f"written  {options.out}")
    return 0


def pool_and_given(options: argparse.Namespace) -> tuple[list[Structure], list[Structure]]:
    """Structures to choose from, and those that are there already.

    Args:
        options: with files, given, out and those of labels.

    Raises:
        InputError: files that cannot be read, or the result would be put over one of them.
    """
    target = Path(options.out).resolve()
    if not target.parent.is_dir():
        raise InputError(f"--out: expected a file in a folder that exists, got {options.out}")
    with keys_by_option():
        pool, counts = read(options.files, label_keys(options), say=show)
        given = read(options.given, label_keys(options), say=show)[0] if options.given else []
    if target in {Path(count.path).resolve() for count in counts}:
        raise InputError(f"--out: {options.out} is one of the files to choose from")
    return pool, given
