"""ASE Atoms -> Structures, by what the objects carry: ASE itself is not imported.

ASE moves the keys energy, free_energy, forces and stress of a file into a calculator. Its
results are one more candidate for each label, under the key "calculator": they fill in where
no other key is found, must agree with one that is, and can be asked for by that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from acepot.errors import InputError
from acepot.io.structures.constraints import of_atoms
from acepot.io.structures.frames import Frame, group, to_structures
from acepot.io.structures.labels import BY_NAME, CALCULATOR, LabelCount, LabelKeys
from acepot.structure import Structure

_RESULTS = ("energy", "free_energy", "forces", "stress")
#: Columns that are the structure itself.
_OWN = ("numbers", "positions")


def from_atoms(
    atoms: Any,
    labels: LabelKeys | None = BY_NAME,
    *,
    config_type_key: str = "config_type",
    name: str = "",
) -> Structure:
    """Turn one ASE Atoms object into a Structure.

    Results of a calculator whose atoms were changed afterwards are not used, as in ASE.

    Args:
        atoms: numbers, positions (Å), cell (rows, Å), pbc, info, arrays and calc are read.
        labels: keys of the labels; by default they are found by name. None: no labels.
        config_type_key: key of the structure's group in `atoms.info`.
        name: what to call the structure in messages.

    Returns:
        The structure, with energy (eV), forces (eV/Å) and virial (eV) where they are known.

    Raises:
        InputError: not an Atoms object, or labels that are doubtful or wrong.
    """
    frame = _frame(atoms, config_type_key, name or "atoms", name)
    if labels is None:
        return frame.bare
    return to_structures([frame], labels, name or "atoms")[0][0]


def from_atoms_list(
    atoms: Iterable[Any],
    labels: LabelKeys = BY_NAME,
    *,
    config_type_key: str = "config_type",
    source: str = "atoms",
) -> tuple[list[Structure], LabelCount]:
    """Turn many ASE Atoms objects into Structures; the keys are chosen for all together.

    Args:
        atoms: the objects, for example from `ase.io.read(path, ":")`.
        labels: keys of the labels; by default they are found by name.
        config_type_key: key of the structure's group in `atoms.info`.
        source: the file they come from, or another word for messages.

    Returns:
        The structures and the count of labels, whose `str` is a report line.

    Raises:
        InputError: nothing in the list, not Atoms objects, or labels that are doubtful or
            wrong.
    """
    if hasattr(atoms, "positions"):
        raise InputError("atoms: expected a list of Atoms, got a single one; use from_atoms")
    short = Path(source).name
    frames = [
        _frame(one, config_type_key, f"{source}: frame {index}", f"{short} frame {index}")
        for index, one in enumerate(atoms)
    ]
    if not frames:
        raise InputError(f"{source}: expected structures, got none")
    return to_structures(frames, labels, source)


def _frame(atoms: Any, config_type_key: str, where: str, name: str) -> Frame:
    try:
        numbers, positions = atoms.numbers, atoms.positions
        cell, pbc = np.asarray(atoms.cell), np.asarray(atoms.pbc)
        info, arrays = dict(atoms.info), dict(atoms.arrays)
    except AttributeError as error:
        raise InputError(f"{where}: expected an ASE Atoms object, got {type(atoms)}") from error
    fixed, constraints = of_atoms(atoms)
    bare = Structure(
        numbers=numbers,
        positions=positions,
        cell=cell,
        pbc=pbc,
        config_type=group(info.get(config_type_key)),
        name=name,
        fixed=fixed,
        constraints=constraints,
    )
    results, stale = _results(atoms)
    if stale:
        info[f"{CALCULATOR} (not used: the atoms were changed after it)"] = None
    return Frame(
        where=where,
        bare=bare,
        info={str(key): value for key, value in info.items()},
        columns={str(key): value for key, value in arrays.items() if key not in _OWN},
        results=results,
        others=_OWN,
    )


def _results(atoms: Any) -> tuple[dict[str, object], bool]:
    """What an attached calculator knows, and whether it knows it of other atoms."""
    calculator = getattr(atoms, "calc", None)
    results = getattr(calculator, "results", None)
    if calculator is None or not results:
        return {}, False
    if hasattr(calculator, "check_state") and calculator.check_state(atoms):
        return {}, True
    return {key: results[key] for key in _RESULTS if results.get(key) is not None}, False
