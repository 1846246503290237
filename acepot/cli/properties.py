"""`acepot properties`: what a material is by a model, on one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.properties.crystals import PROTOTYPES
from acepot.properties.results import PAGE, lines
from acepot.properties.run import properties
from acepot.properties.settings import STEPS, MeltingSettings, PropertySettings
from acepot.properties.values import read_references

_EPILOG = f"""\
A STRUCTURE is a file with a crystal, or a crystal by name: ELEMENTS:KIND, with a lattice constant
in Å behind another colon if wanted (Si:diamond, NaCl:rocksalt, Cu:fcc:3.6); kinds are
{", ".join(PROTOTYPES)}.
Equation of state, elastic constants with ions at rest, phonons, thermal expansion, surfaces,
vacancies and interstitials, each with its error by the members of the model's committee (or draws
from a posterior) and beside reference values where a file has them.
DIR then holds properties.html, properties.json and properties.csv. What is stopped, or killed, goes
on when the same command is given again. docs/properties.md says how each number is found.

examples:
  acepot properties Si/model.acepot Si:diamond --reference dft.toml --out Si/properties
  acepot properties Cu/model.acepot Cu:fcc Cu:bcc --skip phonons expansion --out Cu/properties
  acepot properties Si/model.acepot Si:diamond --melting 1500 --out Si/properties
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    default = PropertySettings(("x",))
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model file")
    verb.add_argument("structures", metavar="STRUCTURE", nargs="+", help="file or crystal")
    verb.add_argument("--out", metavar="DIR", help="folder for the results (properties)")
    verb.add_argument("--reference", metavar="R.toml", help="values to compare with")
    verb.add_argument(
        "--posterior", metavar="P", help="errors by draws from it (the model's committee)"
    )
    verb.add_argument(
        "--members", type=int, default=default.members, metavar="N",
        help=f"members or draws at most ({default.members})",
    )  # fmt: skip
    verb.add_argument(
        "--seed", type=int, default=default.seed, metavar="N", help="of these draws (0)"
    )
    verb.add_argument(
        "--skip", nargs="+", default=[], choices=STEPS, metavar="PROPERTY",
        help=f"leave out some of {', '.join(STEPS)}",
    )  # fmt: skip
    verb.add_argument(
        "--atoms", nargs="+", type=int, default=list(default.atoms), metavar="N",
        help="sizes of the cells of point defects (64 216)",
    )  # fmt: skip
    verb.add_argument(
        "--phonon-atoms", type=int, default=default.phonon_atoms, metavar="N",
        help=f"size of the supercell of phonons ({default.phonon_atoms})",
    )  # fmt: skip
    verb.add_argument(
        "--surfaces", nargs="+", default=list(default.surfaces), metavar="HKL",
        help="Miller indices of the cell given, such as 110 or 1,-1,0 (100 110 111)",
    )  # fmt: skip
    verb.add_argument(
        "--temperature", type=float, default=default.temperature, metavar="K",
        help=f"up to which expansion is computed ({default.temperature:g})",
    )  # fmt: skip
    verb.add_argument(
        "--melting", type=float, metavar="K",
        help="also the melting temperature by coexistence, from this guess: hours",
    )  # fmt: skip
    verb.add_argument("--melting-atoms", type=int, metavar="N", help="atoms of that cell (500)")
    verb.add_argument("--melting-steps", type=int, metavar="N", help="at constant energy (16000)")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    settings = PropertySettings(
        structures=tuple(options.structures),
        skip=tuple(options.skip),
        atoms=tuple(options.atoms),
        phonon_atoms=options.phonon_atoms,
        surfaces=tuple(options.surfaces),
        temperature=options.temperature,
        members=options.members,
        seed=options.seed,
        melting=_melting(options),
    )
    out = Path(options.out or "properties")
    found = properties(
        options.model,
        settings,
        out,
        posterior=options.posterior,
        reference=options.reference,
        say=show,
    )
    show("\n".join(lines(found, read_references(options.reference))))
    show(f"\nwritten  {out / PAGE}")
    return 0


def _melting(options: argparse.Namespace) -> MeltingSettings | None:
    more = {"atoms": options.melting_atoms, "steps": options.melting_steps}
    given = {name: value for name, value in more.items() if value is not None}
    if options.melting is not None:
        return MeltingSettings(options.melting, **given)
    if given:
        raise InputError(f"--melting-{min(given)}: expected together with --melting")
    return None
