"""Grades of extrapolation: how far the surroundings of an atom are from those of an active set.

γ_i = max_k |B_i A⁻¹|_k with the rows of A the functions of the active atoms of its element. Where
γ is 1 or less, B_i is a combination of theirs with coefficients of at most 1 (Podryabinkin and
Shapeev, Comput. Mater. Sci. 140, 171 (2017)). Nonlinear models: of the functions, or of the
derivatives ∂E_i/∂c_kp = F'_p(ρ_i) B_ik (Lysogorskiy et al., Phys. Rev. Materials 7, 043801 (2023)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import embed
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import require
from acepot.io.pace import read_projections
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure
from acepot.uncertainty.asi import read_asi, write_asi
from acepot.uncertainty.maxvol import active_inverse

__all__ = ["ActiveSet", "SiteFunctions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Numbers of the atoms of each element of a structure, (n,), and their functions, (n, K).
Own = Mapping[str, tuple[Ints, Floats]]


@dataclass(frozen=True, eq=False)
class SiteFunctions:
    """The functions of every atom, those of its own element alone.

    Args:
        evaluator: gives the values of all functions.
        columns: which of them the atoms of an element have, by symbol.
        derivatives: ∂E_i/∂c instead, from the values of atoms of an element, shape (n, K); None:
            the values.
    """

    evaluator: NativeEvaluator
    columns: Mapping[str, Ints]
    derivatives: Callable[[str, Floats], Floats] | None = None

    @classmethod
    def of_model(
        cls, model: Model, full: bool = False, threads: int | None = None
    ) -> SiteFunctions:
        """Those of a model's basis.

        Args:
            model: an energy.
            full: of a nonlinear model the derivatives F'_p(ρ_i) B_ik for all densities p; the
                switch of a core repulsion is left out.
            threads: of the native evaluator.

        Raises:
            InputError: full of a linear model, which has only one kind.
        """
        tables = lower(model.basis)
        columns = {
            symbol: np.unique(products.function).astype(np.int64)
            for symbol, products in zip(model.elements, tables.products, strict=True)
        }
        evaluator = NativeEvaluator(tables, threads)
        if not full:
            return cls(evaluator, columns)
        if model.nonlinear is None:
            raise InputError("full: a linear model has no other derivatives than its functions")
        return cls(evaluator, columns, _derivatives(model, columns))

    @classmethod
    def of_bbasis(cls, path: str | Path, threads: int | None = None) -> SiteFunctions:
        """The B-functions of a potential of pacemaker, in the order of its active sets.

        They are interpolated in the tables of ML-PACE itself, so that grades are the same.

        Args:
            path: of the `.yaml` file.
            threads: of the native evaluator.

        Raises:
            InputError: there is no such file.
            ModelFileError: the file is damaged or holds something else.
        """
        model, centres = read_projections(path)
        places = {s: np.flatnonzero(np.array(centres) == s) for s in dict.fromkeys(centres)}
        return cls(NativeEvaluator(lower(model, own_knots=True), threads), places)

    def values(self, structures: Sequence[Structure]) -> list[Own]:
        """Numbers of the atoms of each element, and their functions.

        Args:
            structures: atoms and cells.

        Returns:
            For each structure by symbol: indices of the atoms, shape (n,), and functions,
            shape (n, K).

        Raises:
            InputError: a structure that cannot be evaluated.
        """
        found: list[Own] = []
        several = require(self.evaluator.values(structures))
        for structure, sites in zip(structures, several, strict=True):
            own: dict[str, tuple[Ints, Floats]] = {}
            for z in np.unique(structure.numbers):
                symbol, atoms = SYMBOLS[z], np.flatnonzero(structure.numbers == z)
                functions = sites.values[0][atoms][:, self.columns[symbol], 0]
                if self.derivatives is not None:
                    functions = self.derivatives(symbol, functions)
                own[symbol] = atoms, functions
            found.append(own)
        return found

    def gathered(self, structures: Sequence[Structure]) -> dict[str, Floats]:
        """The functions of all atoms of several structures by symbol, shape (N, K)."""
        parts: dict[str, list[Floats]] = {}
        for own in self.values(structures):
            for symbol, (_, functions) in own.items():
                parts.setdefault(symbol, []).append(functions)
        return {symbol: np.concatenate(several) for symbol, several in parts.items()}


def _derivatives(model: Model, columns: Mapping[str, Ints]) -> Callable[[str, Floats], Floats]:
    """F'_p(ρ_i) B_ik of atoms of an element, density after density."""
    nonlinear = model.nonlinear
    if nonlinear is None:
        raise InputError("full: expected a model with embeddings")
    embeddings = dict(zip(model.elements, nonlinear.embeddings, strict=True))

    def derivatives(symbol: str, functions: Floats) -> Floats:
        how = embeddings[symbol]
        shifted = how.kind == "FinnisSinclairShiftedScaled"
        parts = []
        for p, (weight, exponent) in enumerate(zip(how.weights, how.exponents, strict=True)):
            rho = functions @ model.coefficients[0, p, columns[symbol]]
            parts.append(weight * embed(shifted, exponent, rho)[1][:, None] * functions)
        return np.concatenate(parts, axis=1)

    return derivatives


@dataclass(frozen=True, eq=False)
class ActiveSet:
    """Inverses of the functions of active atoms.

    Args:
        inverses: A⁻¹ by chemical symbol, shape (K, K).
    """

    inverses: Mapping[str, Floats]

    @classmethod
    def chosen(
        cls, functions: SiteFunctions, structures: Sequence[Structure], tolerance: float = 1.001
    ) -> ActiveSet:
        """The active set of data, by MaxVol.

        Args:
            functions: of the model.
            structures: the data; elements that are not in them have no grade later.
            tolerance: largest grade that an atom of the data has in the end, above 1.

        Raises:
            InputError: no structures, or one that cannot be evaluated.
            ConvergenceError: MaxVol did not end.
        """
        if not structures:
            raise InputError("structures: expected at least one, got none")
        rows = functions.gathered(structures)
        return cls({symbol: active_inverse(own, tolerance) for symbol, own in rows.items()})

    def grades(self, functions: SiteFunctions, structures: Sequence[Structure]) -> list[Floats]:
        """γ_i of every atom.

        Args:
            functions: those the set was chosen with.
            structures: atoms and cells.

        Returns:
            One array of shape (n,) a structure; infinite for elements that the set does not have.

        Raises:
            InputError: a structure that cannot be evaluated, or functions of another model.
        """
        return [
            self.grades_of(structure, own)
            for structure, own in zip(structures, functions.values(structures), strict=True)
        ]

    def grades_of(self, structure: Structure, own: Own) -> Floats:
        """γ_i from the functions of the atoms of one structure by symbol."""
        grades = np.full(len(structure), np.inf)
        for symbol, (atoms, rows) in own.items():
            inverse = self.inverses.get(symbol)
            if inverse is None:
                continue
            if rows.shape[1] != len(inverse):
                raise InputError(
                    f"active set: {symbol}: expected {len(inverse)} functions, got {rows.shape[1]}"
                )
            grades[atoms] = np.abs(rows @ inverse).max(axis=1)
        return grades

    @classmethod
    def load(cls, path: str | Path) -> ActiveSet:
        """Read a `.asi` file, trusting nothing in it.

        Raises:
            InputError: the file cannot be opened.
            ModelFileError: it is damaged or holds something else.
        """
        return cls(read_asi(path))

    def save(self, path: str | Path) -> None:
        """Write a `.asi` file, as pacemaker does.

        Raises:
            InputError: the file cannot be written.
        """
        write_asi(self.inverses, path)
