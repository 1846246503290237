"""Files of a run that grow: culled enthalpies in pymatnest's format, culled configurations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.io.files import naming, replaced
from acepot.sampling import cells as many
from acepot.sampling.cells import Floats
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.nested import Culled
from acepot.sampling.walkers import Walkers

__all__ = [
    "UNCERTAIN", "Grower", "culled_name", "energies_header", "energies_name", "energies_row",
    "frame", "live_name", "read_totals", "write_live",
]  # fmt: skip

#: Configurations for labelling.
UNCERTAIN = "uncertain.extxyz"


def energies_name(replica: int) -> str:
    """Of the file with all culled enthalpies of a replica."""
    return f"P{replica}.energies"


def culled_name(replica: int) -> str:
    """Of the file with culled configurations of a replica."""
    return f"P{replica}.culled.extxyz"


def live_name(replica: int) -> str:
    """Of the file with the walkers of a replica at the end."""
    return f"P{replica}.live"


class Grower:
    """A text file that grows; what is written is on its way to disk after `flush`.

    Args:
        path: of the file.
        head: its beginning, written where it is new.
    """

    def __init__(self, path: Path, head: str = "") -> None:
        self._path = path
        with naming(path):
            self._file: IO[str] = path.open("a", encoding="utf-8", newline="\n")
            if head and self._file.tell() == 0:
                self._file.write(head)

    def write(self, text: str) -> None:
        """Append text."""
        with naming(self._path):
            self._file.write(text)

    def flush(self) -> None:
        """Hand everything over to the system."""
        with naming(self._path):
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with naming(self._path):
            self._file.close()


def energies_header(ensemble: Ensemble, walkers: int) -> str:
    """The first line of a .energies file: "K n_cull n_extra_DOF flat_V N".

    Args:
        ensemble: what is sampled; where momenta are, no degrees of freedom are to be added.
        walkers: K.
    """
    extra = 0 if (ensemble.kinetic > 0.0).any() else 3 * ensemble.atoms
    return f"{walkers} 1 {extra} {ensemble.prior.flat_volume} {ensemble.atoms}\n"


def energies_row(one: Culled) -> str:
    """A line of a .energies file: "iteration H V" with every digit."""
    return f"{one.iteration} {float(one.total)!r} {float(one.volume)!r}\n"


def read_totals(path: Path) -> Floats:
    """All culled totals of a .energies file of a run, in eV, shape (iterations,)."""
    with path.open(encoding="utf-8") as file:
        next(file, "")
        return np.array([float(line.split()[1]) for line in file])


def frame(one: Culled, periodic: bool) -> str:
    """A frame of extended XYZ with every digit.

    The comment has iteration, enthalpy (the total, as in .energies), volume, energy and
    birth_enthalpy, in eV and Å³.

    Args:
        one: the configuration.
        periodic: whether its cell repeats.
    """
    cell = " ".join(map(repr, one.cell.ravel().tolist()))
    numbers = {
        "enthalpy": one.total, "volume": one.volume, "energy": one.energy,
        "birth_enthalpy": one.birth,
    }  # fmt: skip
    info = " ".join(f"{name}={float(value)!r}" for name, value in numbers.items())
    sides = "T T T" if periodic else "F F F"
    lines = [
        str(len(one.numbers)),
        f'Lattice="{cell}" Properties=species:S:1:pos:R:3 pbc="{sides}" '
        f"iteration={one.iteration} {info}",
    ]
    for number, row in zip(one.numbers.tolist(), one.positions.tolist(), strict=True):
        lines.append(f"{SYMBOLS[number]} {' '.join(map(repr, row))}")
    return "\n".join(lines) + "\n"


def write_live(path: Path, walkers: Walkers) -> None:
    """Write rows of "H V", the highest first.

    Args:
        path: of the file.
        walkers: of one replica, shape (K,).
    """
    totals, volumes = walkers.total, many.volumes(walkers.cells)
    order: Iterable[int] = np.lexsort((walkers.key, totals))[::-1].tolist()
    with replaced(path) as file:
        file.writelines(f"{float(totals[k])!r} {float(volumes[k])!r}\n" for k in order)
