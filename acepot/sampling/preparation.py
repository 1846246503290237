"""From the settings of a run to what samples: ensemble, moves and energies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import InputError
from acepot.io.structures.datasets import read_structures
from acepot.masses import masses
from acepot.potential import Potential
from acepot.sampling.cells import Floats
from acepot.sampling.config import NestedConfig
from acepot.sampling.distances import MinimumDistances
from acepot.sampling.energies import EnergyModel
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.guards import distances
from acepot.sampling.mixture import mixture
from acepot.sampling.prior import Prior
from acepot.sampling.settings import Settings, Stop
from acepot.sampling.sources import Given, Source, model_content
from acepot.structure import Structure
from acepot.units import BOLTZMANN, GIGAPASCAL

__all__ = ["Prepared", "prepare"]

#: The largest volume of an atom, in those of close packing at typical bond lengths: well into the
#: gas, ten times the volume of most crystals.
_ROOM = 15.0
#: Å, of elements that no table has.
_BOND = 2.5


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run that can begin.

    Args:
        config: with everything that was left open filled in.
        ensemble: what is sampled.
        settings: how.
        source: of energies.
        potential: of the model; None: energies come from elsewhere.
        guarded: where the smallest distances come from, in words.
    """

    config: NestedConfig
    ensemble: Ensemble
    settings: Settings
    source: Source
    potential: Potential | None
    guarded: str


def prepare(config: NestedConfig, energies: EnergyModel | None = None) -> Prepared:
    """Make everything that a run needs, and fill in what its settings leave open.

    Args:
        config: of the run.
        energies: in place of those of the model file, of which only the name then counts.

    Raises:
        InputError: settings that do not fit together, or a file that is none of structures.
        ModelFileError: not a model of energies.
    """
    numbers, cell = _atoms(config)
    elements = sorted({*numbers, *map(atomic_number, config.ensemble.elements)})
    potential, source = _energies(config, energies, elements)
    limits, guarded = distances(config.guards, elements, potential)
    volume = config.ensemble.volume_max
    if volume is None:
        volume = _volume_max(numbers)
    config = replace(
        config,
        ensemble=replace(config.ensemble, volume_max=volume),
        guards=replace(config.guards, min_distance=limits),
        stop=replace(config.stop, temperature=config.temperature),
    )
    ensemble = _ensemble(config, numbers, cell)
    if not config.moves:
        config = replace(config, moves=mixture(ensemble))
    ensemble = _with_momenta(config, ensemble)
    return Prepared(config, ensemble, _settings(config), source, potential, guarded)


def _atoms(config: NestedConfig) -> tuple[list[int], Floats | None]:
    """Atomic numbers, and a cell where a file has one."""
    given = config.structure
    if given.file is None:
        counts = given.composition.items()
        return [atomic_number(symbol) for symbol, count in counts for _ in range(count)], None
    structures = read_structures(given.file)[0]
    try:
        structure: Structure = structures[given.frame]
    except IndexError:
        raise InputError(
            f"structure.frame: expected {-len(structures)} to {len(structures) - 1}, for "
            f"{given.file} has {len(structures)} structures, got {given.frame}"
        ) from None
    fixed = config.ensemble.shape == "fixed" and structure.cell.any()
    return structure.numbers.tolist(), structure.cell if fixed else None


def _energies(
    config: NestedConfig, energies: EnergyModel | None, elements: Sequence[int]
) -> tuple[Potential | None, Source]:
    if energies is not None:
        return None, Given(energies, config.model)
    content = model_content(config.model, config.ensemble.periodic)
    potential = content.potential(config.run.threads)
    known = potential.model.numbers
    if missing := [SYMBOLS[z] for z in elements if z not in known]:
        raise InputError(
            f"structure: expected elements of {config.model}, which are "
            f"{', '.join(SYMBOLS[z] for z in known)}, got {', '.join(missing)}"
        )
    return potential, content


def _volume_max(numbers: Sequence[int]) -> float:
    """`_ROOM` times r³/√2, the volume of spheres of typical bond lengths, on average in Å³."""
    lengths = np.array([BOND_LENGTHS.get(z, _BOND) for z in numbers])
    return round(_ROOM * float((lengths**3).mean() / np.sqrt(2.0)), 1)


def _ensemble(config: NestedConfig, numbers: Sequence[int], cell: Floats | None) -> Ensemble:
    """The ensemble, without momenta."""
    given = config.ensemble
    pairs, most = config.guards.min_distance, given.volume_max
    if not isinstance(pairs, dict) or most is None:
        raise InputError("expected settings that are filled in")
    if not given.periodic:
        given = replace(given, shape="fixed", volume="fixed")
    elif given.volume == "fixed" and len(given.pressures) > 1:
        raise InputError(
            "ensemble.pressures: expected one where the volume is fixed, got "
            f"{len(given.pressures)}"
        )
    by_number = {
        (atomic_number(pair.partition("-")[0]), atomic_number(pair.partition("-")[2])): distance
        for pair, distance in pairs.items()
    }
    prior = Prior(
        most, given.volume_min, given.min_aspect, given.shape, given.volume, cell,
        given.flat_volume, given.periodic, MinimumDistances(by_number), given.ceiling,
    )  # fmt: skip
    return Ensemble(
        numbers,
        prior,
        np.array(given.pressures) * GIGAPASCAL,
        {atomic_number(name): level for name, level in given.potentials.items()},
        elements=[atomic_number(name) for name in given.elements],
    )


def _with_momenta(config: NestedConfig, ensemble: Ensemble) -> Ensemble:
    """The same with momenta where there are moves that need them."""
    if not any(move.kind == "hamiltonian" for move in config.moves):
        return ensemble
    given, atoms = config.ensemble, ensemble.atoms
    if given.kinetic_temperature is not None:
        most = np.full(ensemble.replicas, 1.5 * atoms * BOLTZMANN * given.kinetic_temperature)
    else:
        most = 1.5 * ensemble.pressures * atoms * ensemble.prior.volume_max
    if not (most > 0.0).all():
        raise InputError(
            "ensemble.kinetic_temperature: expected the hottest temperature of interest in K where "
            "there are hamiltonian moves and a pressure is not above 0, got none"
        )
    return Ensemble(
        ensemble.numbers,
        ensemble.prior,
        ensemble.pressures,
        {atomic_number(name): level for name, level in given.potentials.items()},
        _masses(given.masses, {*ensemble.numbers.tolist(), *ensemble.elements}),
        elements=ensemble.elements,
        kinetic=most,
    )


def _masses(given: Mapping[str, float], numbers: Iterable[int]) -> dict[int, float]:
    """In amu by atomic number: what the settings say, else standard atomic masses."""
    every = sorted(numbers)
    own = {atomic_number(name): mass for name, mass in given.items()}
    return dict(zip(every, masses(every).tolist(), strict=True)) | own


def _settings(config: NestedConfig) -> Settings:
    run, stop = config.run, config.stop
    kt = None if stop.temperature is None else BOLTZMANN * stop.temperature
    return Settings(
        run.walkers,
        run.length,
        tuple(move.move() for move in config.moves),
        Stop(stop.iterations, kt, stop.margin),
        run.batch,
        run.seed,
        config.tuning,
        config.exchange,
        run.shape_rounds,
        run.tries,
    )
