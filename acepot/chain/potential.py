"""The level of the potential: its errors on labels it has not seen, and what a crystal is by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from acepot.chain.level import Contribution, HeldOut, Level, Place, Quantity
from acepot.chain.settings import PotentialLevel
from acepot.errors import InputError
from acepot.io.registry import load
from acepot.io.structures.datasets import read_structures
from acepot.potential import Potential
from acepot.properties.crystals import crystal
from acepot.properties.relaxation import relaxed
from acepot.properties.run import properties
from acepot.properties.settings import PropertySettings
from acepot.run.folder import digest
from acepot.structure import Structure
from acepot.uncertainty.calibration import calibrate, gathered
from acepot.uncertainty.conformal import STATED
from acepot.uncertainty.coverage import coverage
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.posterior_file import load_posterior
from acepot.uncertainty.predictions import Prediction, predictions

__all__ = ["potential_level"]

NAME, FILE, FOLDER = "potential", "potential.json", "properties"
#: Labels whose errors a property's are made of, the first that there are.
_LABELS = {
    "lattice": ("virial", "energy"), "elastic": ("virial", "energy"),
    "phonons": ("forces",), "expansion": ("forces", "energy"), "surfaces": ("energy",),
    "vacancies": ("energy",), "interstitials": ("energy",),
}  # fmt: skip
#: Units of errors by the name of the label, with their number in eV or eV/Å.
_MILLI = 1000.0
#: Parts of the structures; intervals of each are calibrated on all others.
_FOLDS = 10


def potential_level(
    settings: PotentialLevel, structure: str, folder: Path, say: Callable[[str], None]
) -> tuple[Level, Place]:
    """Errors on held-out structures, and the properties of the crystal with their errors.

    Leaves potential.json, and properties/ as `acepot properties` makes it.

    Args:
        settings: of the level.
        structure: a crystal by name, or a file.
        folder: of the report.
        say: takes lines for people.

    Returns:
        The level, and the crystal at rest with the deviation of its size.

    Raises:
        InputError: files that cannot be read, or too few labels to be judged by.
    """
    model = load(settings.model)
    posterior = load_posterior(settings.posterior, model)
    test = [one for name in settings.test for one in read_structures(name)[0]]
    say(f"potential: {len(test)} structures that were not fitted")
    found = predictions(UncertainPotential(posterior), test)
    errors = _errors(found)
    asked = PropertySettings(
        (structure,), skip=settings.skip, atoms=settings.atoms,
        members=settings.members, seed=settings.seed,
    )  # fmt: skip
    properties(settings.model, asked, folder / FOLDER, posterior=settings.posterior, say=say)
    file = f"{FOLDER}/properties.json"
    table = json.loads((folder / file).read_text(encoding="utf-8"))["structures"][structure]
    scales = {name: one.scale for name, one in errors.items()}
    quantities = []
    notes: list[str] = []
    for kind, one in table.items():
        notes += one["notes"]
        label = next((name for name in _LABELS[kind] if name in scales), None)
        for value in one["values"]:
            key = f"structures.{structure}.{kind}.values[{value['name']}]"
            parts: tuple[Contribution, ...] = ()
            if value["error"] is not None and label is not None:
                sigma = float(value["error"]) * scales[label]
                how = f"draws from the posterior, times {scales[label]:.2f}, the factor of {label}"
                parts = (Contribution(NAME, sigma, how, file, f"{key}.error"),)
            quantities.append(
                Quantity(
                    value["name"], float(value["value"]), value["unit"], NAME, file,
                    f"{key}.value", parts,
                )
            )  # fmt: skip
    files = {name: digest(name) for name in (settings.model, settings.posterior, *settings.test)}
    level = Level(NAME, files, tuple(errors.values()), tuple(quantities), tuple(notes))
    level.write(folder / FILE)
    rest = relaxed(Potential(model), crystal(structure, Potential(model)), cell="free").structure
    return level, _place(quantities, rest)


def _place(quantities: list[Quantity], rest: Structure) -> Place:
    """The crystal at rest; its size is as sure as its first lattice constant."""
    a = next((one for one in quantities if one.name == "a"), None)
    if a is None or not a.contributions:
        return Place(rest)
    part = a.contributions[0]
    return Place(rest, part.sigma / a.value, part.file, part.key)


def _errors(found: list[Prediction]) -> dict[str, HeldOut]:
    """By label: those of which there are enough."""
    count = min(_FOLDS, len(found))
    inside = []
    for k in range(count):
        others = [one for n, one in enumerate(found) if n % count != k]
        inside.append(coverage(found[k::count], calibrate(others)).get("all", {}))
    made = {}
    for values in gathered(found):
        one, free = values.observable, values.free
        parts = [part[one.letter] for part in inside if one.letter in part]
        if not parts:
            continue
        total = sum(part["count"] for part in parts)
        held = {
            key: 100 * sum(part["count"] * part[key] for part in parts) / total
            for key in (f"{100 * level:.0f}" for level in STATED)
        }
        unit = "meV/Å" if one.per_atom else "meV/atom"
        made[one.name] = HeldOut(
            one.name, unit, len(free.errors),
            _MILLI * float(np.sqrt(np.mean(free.errors**2))),
            float(np.sqrt(np.mean((free.errors / free.sigmas) ** 2))), held,
        )  # fmt: skip
    if not made:
        raise InputError("potential.test: expected labels of energies or forces, got too few")
    return made
