"""Potential: a model bound to an evaluator. The facade that engines call."""

from __future__ import annotations

from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.protocol import Result
from acepot.evaluate.reference import ReferenceEvaluator
from acepot.lower import lower
from acepot.model import Model
from acepot.neighbours import build
from acepot.structure import Structure


class Potential:
    """Energies, forces and virials of structures.

    Args:
        model: a fitted model.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.tables = lower(model)
        self._evaluator = ReferenceEvaluator(self.tables)
        self._cutoff = float(self.tables.cutoff.max())

    def compute(self, structure: Structure, *, committee: bool = False) -> Result:
        """What the model says about one structure.

        Args:
            structure: atoms and cell.
            committee: also evaluate the members of the model's committee.

        Returns:
            Energies in eV, forces in eV/Å, virials in eV.

        Raises:
            InputError: an element the model does not know, coinciding or too close atoms,
                or a committee asked of a model that has none.
        """
        if committee and self.model.committee is None:
            raise InputError(
                "committee: this model has none; fit it again with committee.size in its TOML"
            )
        species = species_indices(self.model.numbers, structure.numbers)
        edges = build(structure, self._cutoff)
        return self._evaluator.evaluate(species, edges, committee=committee)
