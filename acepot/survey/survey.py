"""What a data set holds, and what is strange about it: gathered once, said in words or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.native import processors
from acepot.fitting.choice import Choice, choose
from acepot.fitting.labels.contacts import contact
from acepot.fitting.labels.duplicates import Twins, duplicates
from acepot.fitting.labels.examination import examine
from acepot.fitting.labels.findings import Finding, largest_force, strange, wrong
from acepot.fitting.labels.work import Steps, steps
from acepot.fitting.observables import Observable
from acepot.fitting.recipe import Recipe
from acepot.io.files import matching
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.labels import LabelCount, LabelKeys, no_labels
from acepot.run.progress import Progress, Pulse
from acepot.structure import Structure
from acepot.units import GIGAPASCAL

__all__ = ["Survey", "read", "survey"]

Floats = NDArray[np.float64]
#: Orders and degrees do not matter to the examination; those of a default basis take long to find.
_BASIS = BasisSpec(order=2, degree=4.0)
#: Structures whose shortest distance is looked up.
_MOST = 2000


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known about a data set.

    Args:
        counts: what each file holds.
        structures: of all files, in their order.
        test: structures of test data.
        choice: elements, reference energies and shortest distances.
        findings: what is strange or cannot be right, the latter first.
        twins: structures that are there twice.
        steps: neighbouring frames and the work between them.
        excess: energies less E0 in eV/atom, shape (structures,); no number without an energy.
        forces: largest force on an atom in eV/Å, likewise.
        pressures: thirds of the traces of the virials over the volumes in GPa, likewise.
        volumes: in Å³/atom; no number without a full cell.
        contacts: shortest distance in sums of covalent radii; no number where it is not known.
    """

    counts: tuple[LabelCount, ...]
    structures: list[Structure]
    test: list[Structure]
    choice: Choice
    findings: tuple[Finding, ...]
    twins: tuple[Twins, ...]
    steps: Steps
    excess: Floats
    forces: Floats
    pressures: Floats
    volumes: Floats
    contacts: Floats

    @property
    def wrong(self) -> bool:
        """Whether anything cannot be right."""
        return any(one.wrong for one in self.findings)

    @property
    def isolated(self) -> list[Structure]:
        """Structures of one atom with an energy and no cell, or E0 of which were taken."""
        return [
            s
            for s in self.structures
            if len(s) == 1 and s.energy is not None and _is_alone(s, self)
        ]

    def name(self, index: int) -> str:
        """The name of a structure by its number."""
        return self.structures[index].name or f"structure {index}"


def _is_alone(structure: Structure, found: Survey) -> bool:
    symbol = SYMBOLS[int(structure.numbers[0])]
    taken = found.choice.origin.get(symbol) == "isolated atom"
    return not structure.pbc.any() or (taken and structure.energy == found.choice.e0[symbol])


def read(
    names: Sequence[str | Path],
    keys: LabelKeys,
    *,
    config_type_key: str = "config_type",
    say: Callable[[str], None],
) -> tuple[list[Structure], list[LabelCount]]:
    """Read files and patterns of files.

    Args:
        names: of files, or patterns such as `bulk*.xyz`.
        keys: of the labels.
        config_type_key: key of the groups.
        say: called with a line for each file.

    Raises:
        InputError: a file is not there or cannot be read, or no file matches a pattern.
    """
    structures: list[Structure] = []
    counts = []
    for name in names:
        for path in matching(str(name)):
            found, count = read_structures(path, keys, config_type_key=config_type_key)
            say(str(count))
            structures += found
            counts.append(count)
    if not structures:
        raise InputError(f"{', '.join(map(str, names))}: the files hold no structure")
    return structures, counts


def survey(
    names: Sequence[str | Path],
    keys: LabelKeys,
    *,
    test: Sequence[str | Path] = (),
    e0: Mapping[str, float] | None = None,
    config_type_key: str = "config_type",
    threads: int | None = None,
    say: Callable[[str], None],
    watched: bool = False,
) -> Survey:
    """Read and examine a data set.

    Args:
        names: of files, or patterns.
        keys: of the labels.
        test: files of test data, which must not be trained.
        e0: energies of isolated atoms in eV by symbol; what is not given is found in the data.
        config_type_key: key of the groups.
        threads: structures handled at once; None: one per processor.
        say: called with a line for each file.
        watched: show how far it is, where that takes more than a second.

    Raises:
        InputError: files that cannot be read, or data that no model can be made for.
    """
    structures, counts = read(names, keys, config_type_key=config_type_key, say=say)
    tested = read(test, keys, config_type_key=config_type_key, say=say)[0] if test else []
    observables = tuple(
        name
        for name, one in Observable.known.items()
        if name == "energy" or any(one.label(s) is not None for s in structures)
    )
    recipe = Recipe(basis=_BASIS, observables=observables, e0=None if e0 is None else dict(e0))
    with Pulse("examining labels") if watched else nullcontext():
        choice = choose(recipe, structures, tested, "labels")
        found = examine(
            structures, tested, choice.recipe.basis, observables, choice.e0, choice.origin,
            choice.shortest, threads or processors(),
        )  # fmt: skip
    return Survey(
        counts=tuple(counts),
        structures=structures,
        test=tested,
        choice=choice,
        findings=(*found, *_of_files(counts)),
        twins=tuple(duplicates([*structures, *tested])),
        steps=steps(structures),
        excess=_excess(structures, choice.e0),
        forces=np.array(
            [np.nan if s.forces is None else largest_force(s) for s in structures], dtype=float
        ),
        pressures=np.array([_pressure(s) for s in structures]),
        volumes=np.array([s.volume / len(s) if s.pbc.all() else np.nan for s in structures]),
        contacts=_contacts(structures, watched),
    )


def _of_files(counts: Sequence[LabelCount]) -> list[Finding]:
    """Files without labels, and keys that are in doubt."""
    found = [strange(note) for count in counts for note in count.notes]
    for count in counts:
        if not (count.energies or count.forces or count.virials):
            found.append(wrong(str(no_labels(count, ("energy", "forces", "virial")))))
    return found


def _excess(structures: Sequence[Structure], e0: Mapping[str, float]) -> Floats:
    """Energies less E0 in eV/atom."""
    found = np.full(len(structures), np.nan)
    for index, one in enumerate(structures):
        if one.energy is not None:
            atoms = sum(e0[SYMBOLS[z]] for z in one.numbers.tolist())
            found[index] = (one.energy - atoms) / len(one)
    return found


def _pressure(structure: Structure) -> float:
    """In GPa."""
    if structure.virial is None or not structure.pbc.all():
        return float("nan")
    return float(np.trace(structure.virial)) / 3 / structure.volume / GIGAPASCAL


def _contacts(structures: Sequence[Structure], watched: bool) -> Floats:
    """Shortest distances in sums of radii of so many structures, from all over the data."""
    found = np.full(len(structures), np.nan)
    chosen = range(0, len(structures), max(1, -(-len(structures) // _MOST)))
    progress = Progress("shortest distances", len(chosen)) if watched else None
    for done, index in enumerate(chosen, start=1):
        if len(structures[index]) > 1 or structures[index].pbc.any():
            found[index] = contact(structures[index])
        if progress is not None:
            progress.update(done)
    return np.where(np.isfinite(found), found, np.nan)
