"""What is looked at before an iteration: walkers in holes, and the committee's spread."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from acepot.basis.species import species_indices
from acepot.io.structures import extxyz
from acepot.sampling.cells import Floats
from acepot.sampling.committee import Spread, SpreadError, committee
from acepot.sampling.guards import HoleError
from acepot.sampling.preparation import Prepared
from acepot.sampling.walkers import State
from acepot.structure import Structure

__all__ = ["Outlook", "Seen"]


class Seen(NamedTuple):
    """What the committee says about what is culled next.

    Args:
        spreads: of each replica; empty: it was not asked.
        uncertain: replicas whose configuration is written out for labelling.
    """

    spreads: list[Spread]
    uncertain: list[int]


class Outlook:
    """What may stop a run.

    Args:
        prepared: the run.
        folder: where structures go that stop it.
    """

    def __init__(self, prepared: Prepared, folder: Path) -> None:
        self._prepared, self._folder = prepared, folder
        self._committee = committee(prepared.config, prepared.potential)
        self._free = _free_atoms(prepared)

    @property
    def has_committee(self) -> bool:
        """Whether there is one that is looked at."""
        return self._committee is not None

    def look(self, state: State) -> Seen:
        """Refuse to go on with walkers in holes, or with too large a spread of the committee.

        Args:
            state: before an iteration.

        Raises:
            HoleError: a walker has fallen into a hole.
            SpreadError: the members are too far apart for what is culled next.
        """
        iteration = state.iteration
        if iteration % self._prepared.config.output.every == 0:
            self._require_no_hole(state)
        if self._committee is None or not self._committee.is_due(iteration):
            return Seen([], [])
        highest = np.lexsort((state.walkers.key, state.walkers.total), axis=1)[:, -1]
        shown = [self._structure(state, r, k) for r, k in enumerate(highest.tolist())]
        seen = Seen(self._committee.spreads(shown), [])
        for replica, spread in enumerate(seen.spreads):
            if reason := self._committee.too_far(spread):
                self._stop_unless_written(iteration, replica, shown[replica], reason)
                seen.uncertain.append(replica)
        return seen

    def _stop_unless_written(
        self, iteration: int, replica: int, structure: Structure, reason: str
    ) -> None:
        """Stop at a configuration that the committee does not agree on, unless it is to go on."""
        if self._prepared.config.committee.beyond == "write":
            return
        path = self._folder / f"uncertain.{iteration}.P{replica}.extxyz"
        extxyz.write_structures(path, [structure])
        raise SpreadError(
            f"{reason}; the structure is in {path}; the same command goes on with a higher "
            'threshold, or with committee.beyond = "write"'
        )

    def _require_no_hole(self, state: State) -> None:
        """Stop where a walker has fallen deeper than any bond."""
        if self._free is None:
            return
        walkers = state.walkers
        each = (walkers.energy - self._free[walkers.numbers].sum(axis=2)) / walkers.numbers.shape[2]
        least = self._prepared.config.guards.energy_min
        if each.min() >= least:
            return
        replica, k = np.unravel_index(int(each.argmin()), each.shape)
        path = self._folder / f"hole.{state.iteration}.extxyz"
        extxyz.write_structures(path, [self._structure(state, int(replica), int(k))])
        raise HoleError(
            f"a walker has {each.min():.4g} eV per atom less free atoms, below guards.energy_min "
            f"({least:g}), deeper than any bond: atoms have fallen into a hole of the model; the "
            f"structure is in {path}; see acepot check MODEL --holes, raise guards.min_distance in "
            "a new run, or fit with such structures"
        )

    def _structure(self, state: State, replica: int, k: int) -> Structure:
        walkers, iteration = state.walkers, state.iteration
        return Structure(
            walkers.numbers[replica, k],
            walkers.positions[replica, k],
            walkers.cells[replica, k],
            self._prepared.ensemble.prior.periodic,
            name=f"iteration {iteration}, replica {replica}",
        )


def _free_atoms(prepared: Prepared) -> Floats | None:
    """Energies of free atoms in eV by atomic number, shape (119,); None: nothing is known."""
    if prepared.potential is None:
        return None
    numbers = prepared.potential.model.numbers
    found = np.zeros(119)
    found[np.array(numbers)] = prepared.potential.tables.e0[
        species_indices(numbers, np.array(numbers))
    ]
    return found
