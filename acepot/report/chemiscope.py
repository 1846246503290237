"""Structures with errors and standard deviations of every atom, in the format of chemiscope.

A chemiscope data set (https://chemiscope.org/docs, "input file format") is a JSON object with
`structures`, `environments` (one for every atom here) and `properties` of both, which an
interactive page at chemiscope.org, or `chemiscope.show_input`, shows.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.evaluate.protocol import Result
from acepot.io.files import replaced
from acepot.model import Model
from acepot.potential import Potential
from acepot.report.worst import Deviation, ranked

__all__ = ["Spread", "chosen", "spreads", "write"]

Floats = NDArray[np.float64]
#: Structures and atoms of a file at most: what a browser handles with ease.
_STRUCTURES, _ATOMS = 1000, 40_000
#: Å; how much of the surroundings of an atom is shown.
_SURROUNDINGS = 4.0


@dataclass(frozen=True, eq=False)
class Spread:
    """How far the members of a committee are from the model.

    Args:
        energy: root of the mean squared difference in eV/atom.
        forces: likewise of the force on every atom in eV/Å, all three components together,
            shape (n,).
    """

    energy: float
    forces: Floats


def chosen(parts: Mapping[str, Sequence[Deviation]]) -> list[tuple[str, Deviation]]:
    """The structures that are shown: with energies and forces, the worst among them.

    Test data come before training data where there are too many of both.

    Args:
        parts: all structures of "train" and "test".
    """
    every = [(name, d) for name in reversed(list(parts)) for d in parts[name]]
    for letters in ({"E", "F"}, {"F"}, {"E"}):
        if shown := [(name, d) for name, d in every if letters <= set(d.sizes)]:
            break
    else:
        return []
    worst = {id(d) for found in parts.values() for d in ranked(found)}
    first = [pair for pair in shown if id(pair[1]) in worst]
    rest = [pair for pair in shown if id(pair[1]) not in worst]
    rest = rest[:: max(1, -(-len(rest) // _STRUCTURES))]
    kept: list[tuple[str, Deviation]] = []
    atoms = 0
    for pair in (*first, *rest):
        atoms += len(pair[1].structure)
        if kept and (atoms > _ATOMS or len(kept) >= _STRUCTURES):
            break
        kept.append(pair)
    return kept


def spreads(potential: Potential, shown: Sequence[tuple[str, Deviation]]) -> list[Spread] | None:
    """Spreads of the committee; None without one.

    Args:
        potential: the model.
        shown: structures.
    """
    if not isinstance(potential.model, Model) or potential.model.committee is None:
        return None
    found = []
    for _, one in shown:  # one after the other: members' forces are large
        result = potential.compute(one.structure, committee=True)
        found.append(_spread(result, len(one.structure)))
    return found


def _spread(result: Result, atoms: int) -> Spread:
    members = result.committee
    if members is None:
        return Spread(0.0, np.zeros(atoms))
    energies = (members.energies - result.energy) / atoms
    forces = np.mean(np.sum((members.forces - result.forces) ** 2, axis=2), axis=0)
    return Spread(float(np.sqrt(np.mean(energies**2))), np.sqrt(forces))


def write(
    path: str | Path,
    name: str,
    shown: Sequence[tuple[str, Deviation]],
    sigma: Sequence[Spread] | None,
) -> None:
    """Write a data set as compressed JSON.

    Args:
        path: ending in .json.gz.
        name: of the data set.
        shown: structures with the part of the data that they are from.
        sigma: spreads of the same structures; None: there is no committee.
    """
    structures = [one for _, one in shown]
    target = "atom" if all("F" in one.sizes for one in structures) else "structure"
    colour = "force error" if target == "atom" else "energy per atom"
    data = {
        "meta": {
            "name": name,
            "description": "predictions of an ACE model and their errors",
        },
        "structures": [_structure(one) for one in structures],
        "environments": [
            {"structure": k, "center": atom, "cutoff": _SURROUNDINGS}
            for k, one in enumerate(structures)
            for atom in range(len(one.structure))
        ],
        "properties": {**_of_structures(shown, sigma), **_of_atoms(structures, sigma)},
        "settings": {
            "target": "structure",
            "map": _axes(structures),
            "structure": [
                {
                    "unitCell": True,
                    "color": {"property": colour},
                    "environments": {"activated": False},
                }
            ],
        },
    }
    text = json.dumps(data, allow_nan=False, ensure_ascii=False)
    with replaced(path, "wb") as file:
        file.write(gzip.compress(text.encode(), mtime=0))


def _axes(structures: Sequence[Deviation]) -> dict[str, Any]:
    x = "energy per atom" if all("E" in one.sizes for one in structures) else "number"
    y = "largest force error" if all("F" in one.sizes for one in structures) else "energy error"
    return {"x": {"property": x}, "y": {"property": y}, "color": {"property": y}}


def _structure(one: Deviation) -> dict[str, Any]:
    positions = np.round(one.structure.positions, 5).T.tolist()
    found: dict[str, Any] = {
        "size": len(one.structure),
        "names": [SYMBOLS[z] for z in one.structure.numbers.tolist()],
        **dict(zip("xyz", positions, strict=True)),
    }
    if one.structure.pbc.any() and one.structure.volume > 0:
        found["cell"] = one.structure.cell.ravel().tolist()
    return found


def _property(target: str, values: Sequence[Any], unit: str, text: str) -> dict[str, Any]:
    found = {"target": target, "values": list(values), "description": text}
    return {**found, "units": unit} if unit else found


def _of_structures(
    shown: Sequence[tuple[str, Deviation]], sigma: Sequence[Spread] | None
) -> dict[str, Any]:
    structures = [one for _, one in shown]
    found = {
        "number": _property("structure", [float(k) for k in range(len(shown))], "", "its number"),
        "name": _property("structure", [one.where for one in structures], "", "where it is from"),
        "config_type": _property(
            "structure", [one.structure.config_type for one in structures], "", "its group"
        ),
        "part": _property("structure", [name for name, _ in shown], "", "fitted or only predicted"),
        "energy per atom": _property(
            "structure", [_signed(d.result.energy, d) for d in structures], "eV", "as predicted"
        ),
    }
    for letter, title, unit in (
        ("E", "energy error", "meV/atom"),
        ("F", "largest force error", "meV/Å"),
        ("V", "largest virial error", "meV/atom"),
    ):
        if structures and all(letter in one.sizes for one in structures):
            sizes = [float(one.sizes[letter]) for one in structures]
            found[title] = _property("structure", sizes, unit, "absolute, of a component")
    if sigma is not None:
        values = [1000 * one.energy for one in sigma]
        found["energy sigma"] = _property("structure", values, "meV/atom", "of the committee")
    return found


def _signed(energy: float, one: Deviation) -> float:
    return float(energy) / len(one.structure)


def _of_atoms(structures: Sequence[Deviation], sigma: Sequence[Spread] | None) -> dict[str, Any]:
    energies = np.concatenate([one.result.energies for one in structures])
    found = {"site energy": _property("atom", energies.tolist(), "eV", "as predicted")}
    if all("F" in one.sizes for one in structures):
        errors = np.concatenate(
            [
                np.linalg.norm(one.result.forces - np.asarray(one.structure.forces), axis=1)
                for one in structures
            ]
        )
        found["force error"] = _property("atom", errors.tolist(), "eV/Å", "size of the difference")
    if sigma is not None:
        values = np.concatenate([one.forces for one in sigma]).tolist()
        found["force sigma"] = _property("atom", values, "eV/Å", "of the committee")
    return found
