"""The torch modules behind the contract of evaluators, on structures instead of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from acepot.errors import InputError
from acepot.evaluate.distances import refuse_closer
from acepot.evaluate.protocol import (
    CommitteeResult,
    Floats,
    Ints,
    Pullback,
    Result,
    Sites,
    StructureRows,
    adjoint_rows,
    displacement_of,
    is_finite,
    named,
    no_pullback,
    no_result,
    no_sites,
    site_weights,
    species_of,
    strains_of,
)
from acepot.evaluate.torch.edges import forces_and_virials
from acepot.evaluate.torch.module import AceModule
from acepot.evaluate.torch.rows import RowModule
from acepot.evaluate.torch.sites import SiteModule
from acepot.neighbours import Edges, build
from acepot.structure import Structure
from acepot.tables import Tables

R = TypeVar("R")
G = TypeVar("G")


class Batch(NamedTuple):
    """Atoms of several structures, one after the other.

    Args:
        species: of every atom, shape (n,).
        centre: central atom of every edge, shape (E,).
        neighbour: its neighbour, shape (E,).
        vector: from it to its neighbour in Å, shape (E, 3).
        structure: number of the structure of every atom, shape (n,).
    """

    species: Tensor
    centre: Tensor
    neighbour: Tensor
    vector: Tensor
    structure: Tensor


class TorchEvaluator:
    """Evaluates Tables in torch; neighbour lists are made on the processor.

    Args:
        tables: a lowered model or basis.
        device: where torch computes: cpu, cuda, cuda:1 …
        single: in single precision from the edge vectors on; see evaluate/precision.py.

    Raises:
        InputError: tables that cannot be evaluated, or a device torch does not have here.
    """

    def __init__(self, tables: Tables, device: str = "cpu", single: bool = False) -> None:
        self.tables = tables
        self._device = device
        self._dtype = torch.float32 if single else torch.float64
        try:
            torch.zeros(1).to(device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device: torch cannot use {device!r} here ({error})") from None
        if tables.is_energy and tables.radial:
            self._energies  # noqa: B018 - what it cannot evaluate is refused now

    @cached_property
    def _energies(self) -> AceModule:
        # E0 would cost single precision digits that differences of energies need.
        without = replace(self.tables, e0=np.zeros_like(self.tables.e0))
        return AceModule(without, self._dtype).to(self._device)

    @cached_property
    def _sites(self) -> SiteModule:
        return SiteModule(self.tables, self._dtype).to(self._device)

    @cached_property
    def _rows(self) -> RowModule:
        return RowModule(self.tables, self._dtype).to(self._device)

    # ------------------------------------------------------------------ the four verbs

    def values(self, structures: Sequence[Structure]) -> list[Sites]:
        """y_io of every site (see `SiteEvaluator`)."""

        def compute(batch: Batch, _given: list[None]) -> list[Sites]:
            return self._by_structure(batch, self._sites.values(*batch[:4]))

        return self._each(structures, lambda _n, _s: None, compute, self._no_sites)

    def jvp(
        self,
        structures: Sequence[Structure],
        displacements: Sequence[Floats | None],
        strains: Sequence[Floats | None] | None = None,
    ) -> list[Sites]:
        """Derivatives of the values along displacements and strains (see `SiteEvaluator`)."""
        along = strains_of(structures, displacements, strains)

        def check(number: int, structure: Structure) -> tuple[Floats, Floats]:
            return displacement_of(structure, displacements[number], along[number])

        def compute(batch: Batch, given: list[tuple[Floats, Floats]]) -> list[Sites]:
            u = self._tensor(np.concatenate([u for u, _ in given]))
            strain = self._tensor(np.stack([e for _, e in given]))
            strain = strain[batch.structure[batch.centre]]
            pressed = batch.vector.to(strain.dtype).unsqueeze(1) @ strain
            change = u[batch.neighbour] - u[batch.centre] + pressed.squeeze(1)
            return self._by_structure(batch, self._sites.jvp(*batch[:4], change))

        return self._each(structures, check, compute, self._no_sites)

    def pullback(
        self, structures: Sequence[Structure], adjoints: Sequence[Sequence[Floats]]
    ) -> list[Pullback]:
        """Forces and virials of a loss with given adjoints (see `SiteEvaluator`)."""
        if len(structures) != len(adjoints):
            raise InputError("pullback: expected adjoints for each structure")

        def check(number: int, structure: Structure) -> Floats:
            return adjoint_rows(self.tables, structure, adjoints[number])

        def compute(batch: Batch, given: list[Floats]) -> list[Pullback]:
            adjoint = self._tensor(np.concatenate(given, axis=1)).t()
            slope = self._sites.pullback(*batch[:4], adjoint)
            forces, virials = forces_and_virials(slope, *batch[1:4], len(batch.species))
            parts = [_split(batch, part) for part in (forces, virials)]
            return [Pullback(f, w) for f, w in zip(*parts, strict=True)]

        return self._each(structures, check, compute, no_pullback)

    def rows(
        self, structures: Sequence[Structure], weights: Sequence[Floats | None] | None = None
    ) -> list[StructureRows]:
        """Design rows of sums over sites of the basis functions (see `SiteEvaluator`)."""
        if self.tables.embeddings is not None:
            raise InputError("rows: a nonlinear model has no design matrix; lower its basis alone")
        given = [None] * len(structures) if weights is None else weights
        if len(structures) != len(given):
            raise InputError("rows: expected weights for each structure")

        def compute(batch: Batch, checked: list[Floats]) -> list[StructureRows]:
            return self._rows.design(*batch, [self._tensor(w) for w in checked])

        return self._each(
            structures,
            lambda n, s: site_weights(s, given[n]),
            compute,
            lambda _s, e: StructureRows((), e),
        )

    # ------------------------------------------------------------------ energies

    def evaluate(self, structures: Sequence[Structure], *, committee: bool = False) -> list[Result]:
        """Energies, forces and virials of several structures in one call.

        Args:
            structures: atoms and cells.
            committee: also evaluate the members of the committee.

        Returns:
            One result a structure; where it is an unknown element, coinciding or too close
            atoms, or numbers that are not finite, the result says so and the others stand.

        Raises:
            InputError: Tables of a basis, or of something that is no energy.
        """
        module, tables = self._energies, self.tables
        members = tables.members - 1 if committee else None

        def compute(batch: Batch, _given: list[None]) -> list[Result]:
            outputs = tables.members if committee else 1
            energies, slopes = module.evaluate(outputs, *batch[:4])
            made = [forces_and_virials(s, *batch[1:4], len(batch.species)) for s in slopes]
            e0 = tables.e0[batch.species.cpu().numpy()]
            parts = (
                _split(batch, energies.t(), e0[:, None]),
                _split(batch, torch.stack([f for f, _ in made], dim=1)),
                _split(batch, torch.stack([w for _, w in made], dim=1)),
            )
            return [_result(*part, committee) for part in zip(*parts, strict=True)]

        return self._each(
            structures, lambda _n, _s: None, compute, lambda s, e: no_result(s, e, members)
        )

    # ------------------------------------------------------------------ steps

    def _each(
        self,
        structures: Sequence[Structure],
        check: Callable[[int, Structure], G],
        compute: Callable[[Batch, list[G]], list[R]],
        failed: Callable[[Structure, InputError], R],
    ) -> list[R]:
        """Results of all structures that can be evaluated in one call; the others say why not.

        Args:
            structures: atoms and cells.
            check: what is given beside a structure, checked.
            compute: the results.
            failed: the result that says what is wrong.
        """
        results: dict[int, R] = {}
        kept: list[int] = []
        species: list[Ints] = []
        lists: list[Edges] = []
        given: list[G] = []
        cutoff, several = self.tables.reach, len(structures) > 1
        for number, structure in enumerate(structures):
            try:
                z, edges = species_of(self.tables, structure), build(structure, cutoff)
                refuse_closer(self.tables, z, edges)
                given.append(check(number, structure))
            except InputError as error:
                results[number] = failed(
                    structure, named(structure, error, number if several else None)
                )
                continue
            kept.append(number)
            species.append(z)
            lists.append(edges)
        if kept:
            made = compute(self._batch(species, lists), given)
            for number, result in zip(kept, made, strict=True):
                results[number] = result
                if not is_finite(result):
                    problem = InputError("results: expected finite numbers, got others")
                    which = number if several else None
                    results[number] = failed(
                        structures[number], named(structures[number], problem, which)
                    )
        return [results[number] for number in range(len(structures))]

    def _tensor(self, array: Floats | Ints) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _batch(self, species: list[Ints], lists: list[Edges]) -> Batch:
        """Several structures with their neighbour lists as one."""
        counts = [len(z) for z in species]
        first = np.repeat(np.cumsum([0, *counts[:-1]]), [len(e.centre) for e in lists])
        return Batch(
            self._tensor(np.concatenate(species)),
            self._tensor(np.concatenate([e.centre for e in lists]) + first),
            self._tensor(np.concatenate([e.neighbour for e in lists]) + first),
            self._tensor(np.concatenate([e.vector for e in lists])).to(self._dtype),
            self._tensor(np.repeat(np.arange(len(counts)), counts)),
        )

    def _by_structure(self, batch: Batch, values: Tensor) -> list[Sites]:
        """Values of shape (n, rows) as those of every structure."""
        parts = [_split(batch, part) for part in self._sites.by_irrep(values)]
        return [Sites(tuple(arrays)) for arrays in zip(*parts, strict=True)]

    def _no_sites(self, structure: Structure, error: InputError) -> Sites:
        return no_sites(self.tables, structure, error)


def _split(batch: Batch, values: Tensor, added: Floats | float = 0.0) -> list[Floats]:
    """Numbers of all atoms, in double precision, plus some, structure by structure."""
    array = values.detach().to(torch.float64).cpu().numpy() + added
    counts = torch.bincount(batch.structure).cumsum(0).tolist()
    return np.split(array, counts[:-1])


def _result(energies: Floats, forces: Floats, virials: Floats, committee: bool) -> Result:
    """The result of a structure; atoms come first, members of the committee second."""
    energies, forces, virials = (
        np.ascontiguousarray(a.swapaxes(0, 1)) for a in (energies, forces, virials)
    )
    members = None
    if committee:
        members = CommitteeResult(energies[1:].sum(axis=1), forces[1:], virials[1:].sum(axis=1))
    return Result(energies[0], forces[0], virials[0], members)
