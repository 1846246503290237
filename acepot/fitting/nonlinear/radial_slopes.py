"""Tables of a basis as a function of its radial weights, and derivatives of a model by these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.basis.learned import LearnedBasis, channel_names
from acepot.evaluate.native import NativeEvaluator, NativeRowBuilder
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.observables import Observable
from acepot.lowering import lower
from acepot.structure import Structure
from acepot.tables import RadialTable, Tables
from acepot.tabulation import TOLERANCE, radial_table
from acepot.voigt import to_voigt

__all__ = ["RadialSlopes"]

Floats = NDArray[np.float64]
#: Step of the central differences. A model is a polynomial in each weight, of the degree of its
#: order and weights are of the order of 1: this errs by 1e-8.
_STEP = 1e-4
#: Bytes that the table of the g_k of a pair of elements may take.
_BYTES = 1e8
#: How many rows a structure has of each observable.
_ROWS: dict[str, Callable[[Structure], int]] = {
    "energy": lambda _one: 1,
    "forces": lambda one: 3 * len(one),
    "virial": lambda _one: 6,
}
#: Atoms that are handled in one call.
_TOGETHER = 4096


@dataclass(frozen=True, eq=False)
class RadialSlopes:
    """A basis over g_1 … g_K whose weights may be anything.

    Args:
        tables: of the basis, with some weights.
        plain: the g_k, tabulated.
        first: weights with which R_n = g_n [centre, neighbour, channel, k].
    """

    tables: Tables
    plain: RadialTable
    first: Floats

    @classmethod
    def of(cls, basis: LoweredBasis, functions: int, by_l: bool) -> RadialSlopes:
        """Of a basis whose radial functions are the first of these.

        Args:
            basis: it.
            functions: K, or as many as the basis has where these are more.
            by_l: whether every l has weights of its own.
        """
        names = channel_names(basis.expanded, by_l)
        species, most = len(basis.blank.numbers), max(functions, *(n for n, _ in names))
        first = np.zeros((species, species, len(names), most))
        codes = _codes(species) if basis.spec.together else np.ones((1, species))
        for channel, (n, _) in enumerate(names):
            first[:, :, channel, (n - 1) // len(codes)] = codes[(n - 1) % len(codes)]
        tables = lower(LearnedBasis(basis.spec, first, by_l))
        plain = basis.spec.radial_functions(most)
        limit = _BYTES * species**2
        return cls(tables, radial_table(plain, plain, TOLERANCE, None, False, limit), first)

    @property
    def count(self) -> int:
        """Number of weights."""
        return int(self.first.size)

    def at(self, weights: Floats) -> Tables:
        """The tables with other weights."""
        found = np.einsum("abpdk,abck->abpdc", self.plain.coefficients, weights)
        return replace(
            self.tables, radial=(replace(self.plain, coefficients=found), *self.tables.radial[1:])
        )

    def builder(self, weights: Floats) -> NativeRowBuilder:
        """Makes design rows at some weights."""
        return NativeRowBuilder(self.at(weights), 1)

    def columns(
        self,
        structures: Sequence[Structure],
        observables: Sequence[str],
        weights: Floats,
        coefficients: Floats,
        threads: int,
        pause: Callable[[], None],
    ) -> Floats:
        """Derivatives of energies, forces and virials of structures by all weights.

        By central differences: two force calls for each weight of a pair of elements and each
        structure that has both, whatever the number of functions.

        Args:
            structures: they.
            observables: energy, forces, virial, or some of them: those that have labels are made,
                in this order.
            weights: where.
            coefficients: of the functions, shape (K,).
            threads: of the evaluator.
            pause: called for every weight.

        Returns:
            Shape (rows, weights), the rows of one structure after those of another.
        """
        used = Observable.among(observables)
        model = self.at(weights).read_out((coefficients[None, None],))
        counts = [sum(_ROWS[name](one) for name in _used(one, used)) for one in structures]
        first = np.cumsum([0, *counts])
        species, _, channels, many = weights.shape
        found = np.zeros((int(first[-1]), species, species, channels, many))
        for a, b in np.ndindex(species, species):
            # Others have no neighbours of this pair.
            pair = set(self.tables.numbers[[a, b]].tolist())
            mine = [k for k, one in enumerate(structures) if pair <= set(one.numbers.tolist())]
            if not mine:
                continue
            rows = np.concatenate([np.arange(first[k], first[k + 1]) for k in mine])
            batches = list(_batches([structures[k] for k in mine]))
            for channel, k in np.ndindex(channels, many):
                pause()
                either = [
                    _evaluated(
                        NativeEvaluator(self._moved(model, (a, b, channel, k), step), threads),
                        batches, used,
                    )
                    for step in (_STEP, -_STEP)
                ]  # fmt: skip
                found[rows, a, b, channel, k] = (either[0] - either[1]) / (2 * _STEP)
        return found.reshape(len(found), -1)

    def _moved(self, model: Tables, place: tuple[int, ...], step: float) -> Tables:
        """A model with one of the weights changed by a step."""
        a, b, channel, k = place
        learned, *others = model.radial
        coefficients = learned.coefficients.copy()
        coefficients[a, b, ..., channel] += step * self.plain.coefficients[a, b, ..., k]
        return replace(model, radial=(replace(learned, coefficients=coefficients), *others))


def _codes(species: int) -> Floats:
    """What tells elements apart in sums over all of them at first, shape (codes, species).

    Of two radial channels one is the plain sum, the other has weights cos(π (z + ½)/S) √2, of both
    signs; learning makes of them what it needs.
    """
    if species == 1:
        return np.ones((1, 1))
    z = np.arange(species) + 0.5
    return np.stack([np.ones(species), np.sqrt(2) * np.cos(np.pi * z / species)])


def _batches(structures: Sequence[Structure]) -> Iterator[list[Structure]]:
    """Structures in their order, about so many atoms together."""
    batch: list[Structure] = []
    for one in structures:
        if batch and sum(map(len, batch)) + len(one) > _TOGETHER:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _used(structure: Structure, observables: Sequence[Observable]) -> list[str]:
    """What of a structure has labels."""
    return [one.name for one in observables if one.label(structure) is not None]


def _evaluated(
    evaluator: NativeEvaluator,
    batches: Sequence[Sequence[Structure]],
    observables: Sequence[Observable],
) -> Floats:
    """Energies, forces and virials of structures, as in their rows.

    Raises:
        InputError: one of them cannot be evaluated.
    """
    made = []
    for batch in batches:
        bound = evaluator.bind_many(batch)
        positions = np.concatenate([s.positions for s in batch])
        found = bound.compute(positions, np.array([s.cell for s in batch]))
        for error in found.errors.values():
            raise error
        first = np.cumsum([0, *map(len, batch)])
        for k, one in enumerate(batch):
            values = {
                "energy": found.energy[k : k + 1],
                "forces": found.forces[first[k] : first[k + 1]].ravel(),
                "virial": to_voigt(found.virials[k]),
            }
            made += [values[name] for name in _used(one, observables)]
    return np.concatenate(made)
