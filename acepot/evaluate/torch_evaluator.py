"""The torch module behind the contract of evaluators, on structures instead of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.evaluate.nearness import refuse_closer
from acepot.evaluate.protocol import (
    Committee,
    Floats,
    Result,
    named,
    no_result,
    species_of,
)
from acepot.evaluate.torch_module import AceModule, forces_and_virials
from acepot.neighbours import Edges, build
from acepot.structure import Structure
from acepot.tables import Tables


class TorchEvaluator:
    """Evaluates Tables in torch; neighbour lists are made on the processor.

    Args:
        tables: a lowered model of scalars (total_l = 0).
        device: where torch computes: cpu, cuda, cuda:1 …
        single: in single precision from the edge vectors on; see evaluate/single.py.

    Raises:
        InputError: tables that cannot be evaluated, or a device torch does not have here.
    """

    def __init__(self, tables: Tables, device: str = "cpu", single: bool = False) -> None:
        self.tables = tables
        # E0 would cost single precision digits that differences of energies need.
        module = AceModule(
            replace(tables, e0=np.zeros_like(tables.e0)),
            torch.float32 if single else torch.float64,
        )
        try:
            self._module = module.to(device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device: torch cannot use {device!r} here ({error})") from None
        self._device = device

    def evaluate(self, structures: Sequence[Structure], *, committee: bool = False) -> list[Result]:
        """Energies, forces and virials of several structures in one call.

        Args:
            structures: atoms and cells.
            committee: also evaluate the members of the committee.

        Returns:
            One result a structure; where it is an unknown element, coinciding or too close
            atoms, or numbers that are not finite, the result says so and the others stand.
        """
        results: dict[int, Result] = {}
        kept, species, lists = [], [], []
        members = self.tables.members - 1 if committee else None
        for number, structure in enumerate(structures):
            try:
                z, edges = species_of(self.tables, structure), build(structure, self._module.cutoff)
                refuse_closer(self.tables, z, edges)
            except InputError as error:
                results[number] = no_result(structure, named(structure, error), members)
                continue
            kept.append(number)
            species.append(z)
            lists.append(edges)
        if kept:
            first = np.cumsum([0, *(len(z) for z in species)])
            outputs = self.tables.members if committee else 1
            energies, forces, virials = self._run(np.concatenate(species), lists, first, outputs)
            energies += self.tables.e0[np.concatenate(species)]
            for number, a, b in zip(kept, first, first[1:], strict=False):
                made = _result(energies[:, a:b], forces[:, a:b], virials[:, a:b], committee)
                if not (np.isfinite(energies[:, a:b]).all() and np.isfinite(forces[:, a:b]).all()):
                    problem = ValueError("energies or forces: expected finite numbers, got others")
                    structure = structures[number]
                    made = no_result(structure, named(structure, problem), members)
                results[number] = made
        return [results[number] for number in range(len(structures))]

    def _run(
        self, species: NDArray[np.int64], lists: list[Edges], first: NDArray[np.int64], outputs: int
    ) -> tuple[Floats, Floats, Floats]:
        """Energies less E0, forces and virials of all atoms, by output."""

        def tensor(arrays: list[NDArray[np.float64] | NDArray[np.int64]]) -> torch.Tensor:
            return torch.from_numpy(np.concatenate(arrays)).to(self._device)

        centre = tensor([e.centre + at for e, at in zip(lists, first, strict=False)])
        neighbour = tensor([e.neighbour + at for e, at in zip(lists, first, strict=False)])
        vector = tensor([e.vector for e in lists]).to(self._module.e0.dtype)
        energies, gradients = self._module.evaluate(
            outputs, tensor([species]), centre, neighbour, vector
        )
        made = [
            forces_and_virials(gradient, centre, neighbour, vector, len(species))
            for gradient in gradients
        ]
        stacked = (energies, torch.stack([f for f, _ in made]), torch.stack([w for _, w in made]))
        one, two, three = (t.to(torch.float64).cpu().numpy() for t in stacked)
        return one, two, three


def _result(energies: Floats, forces: Floats, virials: Floats, committee: bool) -> Result:
    members = None
    if committee:
        members = Committee(energies[1:].sum(axis=1), forces[1:], virials[1:].sum(axis=1))
    return Result(energies[0], forces[0], virials[0], members)
