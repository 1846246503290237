"""fit_tensors: charges, dipoles and other tensors of sites, from structures that have such labels.

The targets of one (L, parity) are linear in its functions: the value of a site is Σ_k c_k B_ik^M,
that of a structure the sum over its sites. Every output is a problem of its own, with the solvers
and priors of energies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import resolve
from acepot.basis.irrep import Irrep, irreps
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.fitting.bounds import at_least
from acepot.fitting.dataset import as_structures, elements
from acepot.fitting.partition import Partition
from acepot.fitting.priors import Algebraic, Prior
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import BLR, Solver, solve
from acepot.lowering import lower
from acepot.model import TensorModel
from acepot.schema import Settings, from_mapping, to_mapping
from acepot.structure import Structure

__all__ = ["SiteTarget", "TensorFit", "fit_tensors"]

Floats = NDArray[np.float64]
#: Where y, z, x of real harmonics stand in a vector.
_VECTOR = [1, 2, 0]


@dataclass(frozen=True)
class SiteTarget(Settings):
    """One output: which label it is fitted to, and how that turns.

    Args:
        label: name of the label in `Structure.labels`.
        irrep: 0e, 1o, 2e …
        per: atom: every site has the label; structure: it is the sum over the sites.
        weight: of every row; those of a structure are also divided by √n.
    """

    label: str
    irrep: str = "0e"
    per: Literal["atom", "structure"] = "atom"
    weight: float = 1.0

    def check(self) -> None:
        """The irrep must be one, and the weight positive."""
        irreps([self.irrep])
        at_least("weight", self.weight, above=True)

    def values(self, structure: Structure, irrep: Irrep) -> Floats | None:
        """The label in components M = -L … L, shape (n or 1, 2L + 1); None if there is none.

        Vectors (L = 1) are given as x y z, everything else in components M.

        Raises:
            InputError: the label has another number of components.
        """
        given = structure.labels.get(self.label)
        if given is None:
            return None
        count = len(structure) if self.per == "atom" else 1
        if given.size != count * irrep.dim:
            raise InputError(
                f"{structure.name or 'structure'}: {self.label}: expected {count} times "
                f"{irrep.dim} numbers, got shape {given.shape}"
            )
        values = np.asarray(given, dtype=float).reshape(count, irrep.dim)
        return values[:, _VECTOR] if irrep.l == 1 else values


@dataclass(frozen=True, eq=False)
class TensorFit:
    """What `fit_tensors` returns.

    Args:
        model: the fitted outputs.
        solutions: coefficients with their posterior, by label.
        errors: root-mean-square error of each label on the training structures, in its unit.
    """

    model: TensorModel
    solutions: dict[str, Solution]
    errors: dict[str, float]


def fit_tensors(
    structures: Iterable[Any],
    basis: BasisSpec | Mapping[str, Any],
    targets: Sequence[SiteTarget | Mapping[str, Any]],
    *,
    solver: Solver | None = None,
    prior: Prior | None = None,
    unit: str = "",
) -> TensorFit:
    """Fit tensors of sites.

    Args:
        structures: with labels; of acepot, or Atoms of ASE.
        basis: its irreps are replaced by those of the targets; elements that it does not name
            are those of the structures.
        targets: the outputs.
        solver: None: maximum evidence.
        prior: smoothness; None: algebraic.
        unit: of the labels, kept with the model.

    Raises:
        InputError: settings or labels that do not fit, or a label that no structure has.
    """
    wanted = [t if isinstance(t, SiteTarget) else from_mapping(SiteTarget, t) for t in targets]
    if not wanted or len({t.label for t in wanted}) < len(wanted):
        raise InputError("targets: expected one or more, each label once")
    train = as_structures(structures)
    spec = _basis(basis, wanted, train)
    tables, built = lower(spec), spec.expansion()
    solver, gamma = solver or BLR(), (prior or Algebraic()).gamma(built)
    first = np.cumsum([0, *tables.sizes])
    found = require(ReferenceEvaluator(tables).values(train))
    solutions, errors, coefficients = {}, {}, []
    for number, irrep in enumerate(tables.irreps):
        rows = []
        for target in (t for t in wanted if t.irrep == str(irrep)):
            parts = list(_parts(target, irrep, train, [s.values[number] for s in found]))
            if not parts or tables.sizes[number] == 0:
                raise InputError(
                    f"targets: {target.label}: no structure has this label, or the basis no "
                    f"function of {irrep}; name its key when reading, or raise the order or degree"
                )
            problem = Partition(tables.sizes[number], solver.division)
            folds = solver.division.folds_of([target.label] * len(parts))
            for fold, (matrix, values, weight) in zip(folds, parts, strict=True):
                problem.add(weight * matrix, weight * values, fold=fold, observable=target.label)
            mine = slice(first[number], first[number + 1])
            solution = solve(problem.finish(), gamma[mine], solver)
            solutions[target.label] = solution
            off = [matrix @ solution.coefficients - values for matrix, values, _ in parts]
            errors[target.label] = float(np.sqrt(np.mean(np.concatenate(off) ** 2)))
            rows.append(solution.coefficients)
        coefficients.append(np.array(rows)[None])
    names = tuple(tuple(t.label for t in wanted if t.irrep == str(i)) for i in tables.irreps)
    provenance = {
        "targets": [to_mapping(t) for t in wanted], "structures": len(train),
        "solver": to_mapping(solver), "prior": to_mapping(prior or Algebraic()),
    }  # fmt: skip
    model = TensorModel(spec, tuple(coefficients), names, unit, provenance)
    return TensorFit(model, solutions, errors)


def _basis(
    basis: BasisSpec | Mapping[str, Any], targets: Sequence[SiteTarget], train: list[Structure]
) -> BasisSpec:
    """The basis of the irreps that the targets need."""
    settings = to_mapping(basis) if isinstance(basis, BasisSpec) else dict(basis)
    settings |= {"irreps": list(dict.fromkeys(t.irrep for t in targets))}
    settings |= {"total_l": 0, "parity": 1}
    settings.setdefault("elements", [])
    if not settings["elements"]:
        settings["elements"] = list(elements(train))
    return resolve(from_mapping(BasisSpec, settings, "basis"))


def _parts(
    target: SiteTarget, irrep: Irrep, train: list[Structure], functions: list[Floats]
) -> Iterator[tuple[Floats, Floats, float]]:
    """Rows, targets and their weight of every structure that has the label."""
    for structure, b in zip(train, functions, strict=True):  # b: [atom, k, M]
        values = target.values(structure, irrep)
        if values is None:
            continue
        weight = target.weight
        if target.per == "structure":
            b, weight = b.sum(axis=0, keepdims=True), weight / np.sqrt(len(structure))
        yield b.transpose(0, 2, 1).reshape(values.size, b.shape[1]), values.ravel(), weight
