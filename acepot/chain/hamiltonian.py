"""The level of the Hamiltonian: levels of electrons, their errors, the gap and Fermi level."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.chain.level import Contribution, Level, Place, Quantity, judged
from acepot.chain.settings import HamiltonianLevel
from acepot.errors import InputError
from acepot.hamiltonian.accuracy import level_errors
from acepot.hamiltonian.band_energy import divisions, electrons_of
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.spectrum import filled, levels, mesh
from acepot.io.registry import load
from acepot.model import HamiltonianModel
from acepot.run.folder import digest
from acepot.structure import Structure
from acepot.units import BOLTZMANN

__all__ = ["hamiltonian_level"]

Floats = NDArray[np.float64]
NAME, FILE = "hamiltonian", "hamiltonian.json"
#: Relative change of lengths of slopes by the size of the cell.
_STEP = 0.005
#: kT of the electrons up to which a gap between levels on the mesh is that of a metal.
_CLOSED = 4.0


def hamiltonian_level(
    settings: HamiltonianLevel, place: Place, folder: Path, say: Callable[[str], None]
) -> Level:
    """Errors of levels on held-out structures; Fermi level and gap of the crystal.

    Leaves hamiltonian.json.

    Args:
        settings: of the level.
        place: the crystal.
        folder: of the report.
        say: takes lines for people.

    Raises:
        InputError: files that cannot be read, a model without a committee or whose electrons are
            not known, or fewer than two structures to be judged by.
    """
    model = load(settings.model, HamiltonianModel)
    evaluator = HamiltonianEvaluator(model)
    if evaluator.members < 2:
        raise InputError(f"{settings.model}: expected a model with a committee, got one without")
    if not model.electrons:
        raise InputError(f"{settings.model}: expected a model that knows its electrons")
    test = [one.snapshot for name in settings.test for one in read(name)]
    if len(test) < 2:
        raise InputError(f"hamiltonian.test: expected two structures or more, got {len(test)}")
    say(f"Hamiltonian: {len(test)} structures that were not fitted")
    found = [
        level_errors(
            evaluator, one, mesh(divisions(one.structure, model.filling)),
            electrons_of(model, one.structure, model.filling.charge), model.filling.temperature,
        )
        for one in test
    ]  # fmt: skip
    errors = [one.difference[one.within] for one in found]
    sigmas = [one.deviation[one.within] for one in found if one.deviation is not None]
    told = judged("levels, -10 to 5 eV", "meV", errors, sigmas, 1e3)
    quantities = _quantities(evaluator, place, told.scale)
    files = {name: digest(name) for name in (settings.model, *_files(settings.test))}
    level = Level(NAME, files, (told,), quantities)
    level.write(
        folder / FILE,
        structures=[
            {"name": one.name, "occupied": one.occupied.rmse, "window": one.window.rmse}
            for one in found
        ],
    )
    return level


def _files(names: tuple[str, ...]) -> list[str]:
    """Files, and those in folders."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found += map(str, inside)
    return found


def _quantities(
    evaluator: HamiltonianEvaluator, place: Place, scale: float
) -> tuple[Quantity, ...]:
    """Of the crystal, with deviations of members and of its size."""
    mine = _electrons(evaluator, place.structure)
    sides = {by: _electrons(evaluator, place.scaled(by))[0] for by in (1 - _STEP, 1 + _STEP)}
    deviation = np.sqrt(np.mean((mine[1:] - mine[0]) ** 2, axis=0))
    closed = _CLOSED * BOLTZMANN * evaluator.model.filling.temperature
    made = []
    for number, name in enumerate(("Fermi level", "gap")):
        if name == "gap" and mine[0, number] < closed:
            continue
        sigma = scale * float(deviation[number])
        how = f"members of the committee, times {scale:.2f}, the factor of levels"
        key = f"quantities[{name}]"
        own = Contribution(NAME, sigma, how, FILE, f"{key}.contributions[0].sigma")
        size = place.along({by: float(value[number]) for by, value in sides.items()})
        made.append(
            Quantity(name, float(mine[0, number]), "eV", NAME, FILE, f"{key}.value", (own, *size))
        )
    return tuple(made)


def _electrons(evaluator: HamiltonianEvaluator, structure: Structure) -> Floats:
    """Fermi level and gap by the model and every member, shape (members, 2)."""
    model = evaluator.model
    made = evaluator.matrices(structure)
    points = mesh(divisions(structure, model.filling))
    count = electrons_of(model, structure, model.filling.charge)
    rows = []
    for one in made.hamiltonian:
        state = filled(levels(one, made.overlap, points), count, model.filling.temperature)
        rows.append([state.fermi, state.gap])
    return np.array(rows)
