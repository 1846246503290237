"""Template: what all structures of a run have in common, for i-PI sends positions only.

i-PI's messages say nothing about elements or periodic directions, and repeat the number of
atoms each time. A template file of the run supplies the first two and checks the last. Where
the forcefield's <parameters> state `atoms` or `elements`, INIT carries them, and they are
compared with the template as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

import acepot
from acepot import Model, Structure
from acepot.errors import InputError


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


def read_template(path: str | os.PathLike[str], model: Model, pbc: str | None = None) -> Template:
    """The first structure of a file as a template.

    Args:
        path: extended XYZ, or any file that ASE reads.
        model: knows the elements.
        pbc: periodic directions as three letters such as TTF; None: as the file says.

    Raises:
        InputError: no such file, no structure, elements that the model does not know, or pbc
            of another form.
        MissingDependency: the file needs ASE, which is not installed.
    """
    first = acepot.read_structures(os.fspath(path))[0][0]
    if pbc is not None and (len(pbc) != 3 or set(pbc) - set("TF")):
        raise InputError(f"pbc: expected three letters T or F such as TTF, got {pbc!r}")
    flags = first.pbc.tolist() if pbc is None else [letter == "T" for letter in pbc]
    names = dict(zip(model.numbers, model.elements, strict=True))
    if unknown := sorted(set(first.numbers.tolist()) - names.keys()):
        raise InputError(
            f"{first.name}: atomic numbers {unknown} are not in the model, "
            f"which has {', '.join(model.elements)}"
        )
    return Template(first, tuple(names[z] for z in first.numbers.tolist()), tuple(flags))
