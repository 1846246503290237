"""Template: what all structures of a run have in common, for i-PI sends positions only.

i-PI's messages say nothing about elements or periodic directions, and repeat the number of
atoms each time. A template file of the run supplies the first two and checks the last. Where
the forcefield's <parameters> state `atoms` or `elements`, INIT carries them, and they are
compared with the template as well.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

import acepot
from acepot import ChargeModel, Model, Structure
from acepot.errors import InputError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Template:
    """Atoms in their order, and which directions are periodic.

    Args:
        structure: one structure of the run; its cell and positions matter to `--bench` alone.
        symbols: the symbol of every atom.
        pbc: the periodic directions.
    """

    structure: Structure
    symbols: tuple[str, ...]
    pbc: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def elements(self) -> str:
        """Symbols in the order of the atoms, repeats counted: O64Si32."""
        runs = ((symbol, len(list(same))) for symbol, same in groupby(self.symbols))
        return "".join(symbol + (str(n) if n > 1 else "") for symbol, n in runs)

    def check(self, parameters: Mapping[str, str]) -> None:
        """Compare with what the forcefield's <parameters> say about its atoms.

        Args:
            parameters: those that INIT carried; `atoms` and `elements` are looked at.

        Raises:
            InputError: another number of atoms, or other elements in this order.
        """
        own = {"atoms": str(len(self)), "elements": self.elements}
        for key in own.keys() & parameters.keys():
            if parameters[key] != own[key]:
                raise InputError(
                    f"INIT: the input of i-PI says {key} {parameters[key]!r}, "
                    f"the template {self.structure.name} has {own[key]!r}; "
                    "give the template that belongs to this run"
                )

    def check_count(self, atoms: int) -> None:
        """Compare with a number of atoms that i-PI sent.

        Raises:
            InputError: another number.
        """
        if atoms != len(self):
            raise InputError(
                f"i-PI sends {atoms} atoms, the template {self.structure.name} has {len(self)} "
                f"({self.elements}); give the template that belongs to this run"
            )


def read_template(
    path: str | os.PathLike[str], model: Model | ChargeModel, pbc: str | None = None
) -> Template:
    """The structure of a file as a template, or the first of several with the same atoms.

    Args:
        path: extended XYZ, or any file that ASE reads.
        model: knows the elements.
        pbc: periodic directions as three letters such as TTF; None: as the file says.

    Raises:
        InputError: no such file, no structure, several with different atoms, elements that the
            model does not know, or pbc of another form.
        MissingDependency: the file needs ASE, which is not installed.
    """
    if pbc is not None and not are_flags(pbc):
        raise InputError(f"pbc: expected three letters T or F such as TTF, got {pbc!r}")
    first = _only(acepot.read_structures(os.fspath(path))[0], os.fspath(path))
    flags = first.pbc.tolist() if pbc is None else [letter == "T" for letter in pbc]
    names = dict(zip(model.numbers, model.elements, strict=True))
    if unknown := sorted(set(first.numbers.tolist()) - names.keys()):
        raise InputError(
            f"{first.name}: atomic numbers {unknown} are not in the model, "
            f"which has {', '.join(model.elements)}"
        )
    return Template(first, tuple(names[z] for z in first.numbers.tolist()), tuple(flags))


def are_flags(pbc: str) -> bool:
    """Whether a text is three letters such as TTF."""
    return len(pbc) == 3 and not set(pbc) - set("TF")


def _only(structures: Sequence[Structure], path: str) -> Structure:
    """The structure of a file; a trajectory of the same atoms says as much as its first frame."""
    first, *others = structures
    for other in others:
        same = np.array_equal(first.numbers, other.numbers)
        if not (same and np.array_equal(first.pbc, other.pbc)):
            raise InputError(
                f"{path}: expected one structure, got {len(structures)} with different atoms or "
                f"periodic directions ({first.name} and {other.name}); give a file with the atoms "
                "of this run alone"
            )
    if others:
        _LOG.info("the first of the %d structures of %s is the template", len(structures), path)
    return first
