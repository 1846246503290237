"""Whether shorter cut-offs do better: small models with each, and their errors on other data.

Far neighbours help where the potential reaches them and are noise to fit where it does not, which
no bond length tells. So two small models are fitted to some of the training structures, with
the longer and the shorter cut-offs, and compare themselves on structures that they do not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import CUTOFF_IN_R0, WL_WITHOUT_DATA, resolve, same_both_ways
from acepot.basis.irrep import SCALAR
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.fitting.assembly import StructureRows, in_threads, structure_rows
from acepot.fitting.dataset import reference_energies
from acepot.fitting.default_basis import Facts, cutoffs, smaller_basis
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.problem import Accumulator
from acepot.fitting.recipe import Recipe
from acepot.fitting.restraint import applies, restraint_rows
from acepot.fitting.solvers import BLR, solve
from acepot.run.progress import Progress
from acepot.structure import Structure

__all__ = ["CutoffTrial", "cutoff_trial"]

Floats = NDArray[np.float64]
#: The shorter cut-offs in units of r0.
SHORTER = 2.0
#: Labelled structures without which nothing is tried; at most and, of large cells, at least so
#: many take part, of so many atoms together, with up to so many functions: a second or two.
_LABELLED, _STRUCTURES, _FEWEST = 20, 300, 12
_ATOMS, _FUNCTIONS = 4000, 300
#: Parts of the structures, each of which is predicted by a fit to the others.
_PARTS = 4
#: Errors that count, from the smallest on: a few structures unlike all others would decide alone.
_COUNTED = 0.9
#: Errors with shorter cut-offs, in units of those with longer ones, below which they are taken.
_CLEARLY = 0.9
_ENOUGH = ("energy", "forces")
#: eV, eV/Å: errors that are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class CutoffTrial:
    """How shorter cut-offs compare with longer ones.

    Args:
        ratios: typical error with the shorter ones over that with the longer, of energies and
            forces, as far as there are labels.
        structures: how many took part.
        functions: of either model.
    """

    ratios: dict[str, float]
    structures: int
    functions: int

    @property
    def in_r0(self) -> float:
        """The cut-off in units of r0 that is taken: the shorter if it is clearly better."""
        values = np.array(list(self.ratios.values()))
        clearly = np.exp(np.log(values).mean()) < _CLEARLY and values.max() <= 1
        return SHORTER if clearly else CUTOFF_IN_R0

    @property
    def line(self) -> str:
        """What was taken and why, for people."""
        taken = self.in_r0
        words = []
        for name, ratio in self.ratios.items():
            change = 100 * ((1 / ratio if taken == SHORTER else ratio) - 1)
            more = "larger" if change >= 0 else "smaller"
            words.append(f"{abs(change):.0f} % {more} {name.removesuffix('s')}")
        errors = f"{' and '.join(words)} errors on held-out structures"
        if taken == SHORTER:
            return f"{SHORTER:g} r0; {CUTOFF_IN_R0:g} r0 had {errors}"
        return f"{CUTOFF_IN_R0:g} r0; {SHORTER:g} r0 was not clearly better, with {errors}"

    @property
    def report(self) -> dict[str, Any]:
        """The same for report.json."""
        return {
            "taken in r0": self.in_r0,
            "tried in r0": [CUTOFF_IN_R0, SHORTER],
            "errors of the shorter over those of the longer": self.ratios,
            "structures": self.structures,
            "functions": self.functions,
        }


def cutoff_trial(
    train: Sequence[Structure],
    recipe: Recipe,
    known: Facts,
    *,
    threads: int = 1,
    watched: bool = False,
) -> CutoffTrial | None:
    """Compare the shorter cut-offs with the longer.

    Args:
        train: training structures.
        recipe: whose basis has elements.
        known: about the data.
        threads: structures handled at once, on which the result does not depend.
        watched: show how far it is, where that takes more than a second.

    Returns:
        The comparison; None where something is stated that it would change, in molecules, and
        where the data are too few or the elements too many.
    """
    spec = recipe.basis
    names = [name for name in _ENOUGH if name in recipe.observables]
    stated = spec.cutoff is not None or spec.degree is not None or spec.functions
    if stated or known.molecular or spec.symmetries != (SCALAR,) or not names:
        return None
    chosen = _chosen(train, names)
    if not chosen or None in (small := [_small(spec, r) for r in (CUTOFF_IN_R0, SHORTER)]):
        return None
    both = [one for one in small if one is not None]
    longest = cutoffs(spec, CUTOFF_IN_R0)
    if longest == cutoffs(spec, SHORTER):
        return None
    e0, _ = reference_energies(train, spec.elements, recipe.e0, max(longest.values()))
    progress = Progress("trying cut-offs", 2 * len(chosen)) if watched else None
    errors: list[dict[str, float]] = []
    for number, one in enumerate(both):
        basis = LoweredBasis.of(one, e0, lambda _line: None)
        rows = []
        try:
            for block in _blocks(basis, chosen, recipe, names, threads):
                rows.append(block)
                if progress is not None:
                    progress.update(number * len(chosen) + len(rows))
            errors.append(_held_out(rows, basis, recipe))
        except (ConvergenceError, InputError):  # the fit itself tells of such data
            return None
    long, short = errors
    if not long:
        return None
    ratios = {name: (short[name] + _ROUNDING) / (long[name] + _ROUNDING) for name in long}
    return CutoffTrial(ratios, len(chosen), basis.size["total"])


def _chosen(train: Sequence[Structure], names: Sequence[str]) -> list[Structure]:
    """Structures from all over the data, those of one config type together; none if too few."""
    labelled = [
        s
        for s in train
        if (len(s) > 1 or s.pbc.any()) and any(getattr(s, name) is not None for name in names)
    ]
    if len(labelled) < _LABELLED:
        return []
    atoms = sum(map(len, labelled)) / len(labelled)
    if _FEWEST * atoms > 2 * _ATOMS:
        return []
    count = min(len(labelled), _STRUCTURES, max(_FEWEST, int(_ATOMS / atoms)))
    labelled.sort(key=lambda s: s.config_type)
    return [labelled[i] for i in np.linspace(0, len(labelled) - 1, count).astype(int)]


def _small(spec: BasisSpec, in_r0: float) -> BasisSpec | None:
    """A basis of few functions with such cut-offs; None if the elements are too many for that."""
    wl = WL_WITHOUT_DATA if spec.wl is None else spec.wl
    spec = replace(spec, wl=wl, cutoff=cutoffs(spec, in_r0))
    try:
        degrees, _ = smaller_basis(spec, _FUNCTIONS)
        small = resolve(replace(spec, degree=degrees, bonds_once=same_both_ways(spec)))
    except InputError:  # an inner cut-off beyond the shorter ones, say
        return None
    return small if basis_size(small)["total"] <= 2 * _FUNCTIONS else None


def _blocks(
    basis: LoweredBasis,
    chosen: Sequence[Structure],
    recipe: Recipe,
    names: Sequence[str],
    threads: int,
) -> Iterator[StructureRows]:
    """Rows of each structure."""
    builder = NativeRowBuilder(basis.tables)

    def make(one: Structure) -> StructureRows:
        weights = recipe.weights_of(one)
        return structure_rows(one, basis.blank, builder, names, weights)

    return in_threads(make, chosen, threads)


def _held_out(
    blocks: Sequence[StructureRows], basis: LoweredBasis, recipe: Recipe
) -> dict[str, float]:
    """Typical errors of energies per atom and of forces, each structure left out of its fit."""
    functions, gamma = basis.expanded.size, recipe.prior.gamma(basis.expanded)
    parts = _in_parts(blocks)
    triangles = []
    for part in parts:
        triangles.append(Accumulator(functions))
        for block in part:
            triangles[-1].add(block.rows, block.targets, block.weights)
    found: dict[str, list[Floats]] = {}
    for k, part in enumerate(parts):
        others = Accumulator(functions)
        for other in (*triangles[:k], *triangles[k + 1 :]):
            others.absorb(other, np.arange(functions))
        if recipe.restraint.weight > 0 and applies(basis.spec):
            others.add(*restraint_rows(basis.spec, basis.expanded, recipe.restraint))
        coefficients = solve(others.finish(), gamma, BLR()).coefficients
        for block in part:
            for name, left in _errors(block, coefficients).items():
                found.setdefault(name, []).append(left)
    return {name: _typical(np.concatenate(found[name])) for name in _ENOUGH if name in found}


def _in_parts(blocks: Sequence[StructureRows]) -> list[list[StructureRows]]:
    """Every fourth structure of each config type, from each of the first four on."""
    parts: list[list[StructureRows]] = [[] for _ in range(_PARTS)]
    seen: Counter[str] = Counter()
    for block in blocks:
        kind = block.structure.config_type
        parts[seen[kind] % _PARTS].append(block)
        seen[kind] += 1
    return parts


def _errors(block: StructureRows, coefficients: Floats) -> dict[str, Floats]:
    """Absolute errors of what has a weight: energy per atom, and components of forces."""
    left = np.abs(block.rows @ coefficients - block.targets)
    found, counted = {}, block.weights > 0
    energies = int("energy" in block.quantities)
    if energies and counted[0]:
        found["energy"] = left[:1] / len(block.structure)
    if len(left) > energies and counted[energies]:
        found["forces"] = left[energies:]
    return found


def _typical(errors: Floats) -> float:
    """The mean of all but the largest."""
    return float(np.sort(errors)[: max(1, int(_COUNTED * len(errors)))].mean())
