"""Energies, forces and virials of models with charges: outputs of sites, charges, one pullback.

The charges are a minimum of the energy, or are outputs of the sites: either way the forces are one
pullback of the site outputs and the forces of charges that stay, without a derivative of a charge:

    equilibrated:  a = (1, q),                 F = pullback(a) - ½ qᵀ ∂A q
    latent:        a = (1, φ - mean φ), φ = A q
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from acepot.charges.equilibration import Factorised, refined
from acepot.charges.interaction import Interaction, interaction, require_bulk
from acepot.charges.mesh import Mesh
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import (
    CommitteeResult,
    Floats,
    Pullback,
    Result,
    Sites,
    is_finite,
    named,
    no_result,
    require,
    species_of,
)
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import ChargeModel
from acepot.structure import Structure

__all__ = ["ChargeEvaluator", "Charges"]

#: Atoms of a cell up to which A is a matrix; of isolated atoms it is one up to this many.
FEW, MOST_ISOLATED = 200, 6000
#: Atoms up to which a matrix is factorised; beyond, conjugate gradients take less time, and go on
#: until |δq|/√n in e is a hundredth of what changes a force in its last digits.
FACTORISED, EXACT = 400, 1e-13
#: Spacing and order of the mesh with which conjugate gradients do most of their steps, and what its
#: pairs leave out.
COARSE = 1.0, 6, 1e-5
#: |δq| of conjugate gradients in e, times the square root of the number of atoms.
TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Charges:
    """Charges of one structure.

    Args:
        values: q in e, shape (n,); they add up to the total charge.
        dipole: Σ_i q_i r_i in e Å, shape (3,); None in a cell that repeats.
        level: μ of the equilibration in eV/e, the energy an electron more costs: dE/dQ = -μ; None
            for latent charges.
        outputs: χ in eV/e, or the outputs that became the charges, shape (n,).
    """

    values: Floats
    dipole: Floats | None
    level: float | None
    outputs: Floats


class _Sums(Protocol):
    """A of one structure, as charges need it."""

    def solve(self, chi: Floats, total: float, start: Floats | None) -> Floats: ...

    def product(self, q: Floats) -> Floats: ...

    def pull(self, q: Floats) -> tuple[Floats, Floats]: ...


class ChargeEvaluator:
    """Evaluates a model with charges.

    Args:
        model: energies of sites, and charges.
        threads: as of `NativeEvaluator`.
        sites: evaluates the outputs of the sites; None: a `NativeEvaluator`.
        tolerance: of charges by conjugate gradients, |δq|/√n, in e.

    Raises:
        InputError: a tolerance that is not above 0.
    """

    def __init__(
        self,
        model: ChargeModel,
        threads: int | None = None,
        *,
        sites: NativeEvaluator | ReferenceEvaluator | None = None,
        tolerance: float = TOLERANCE,
    ) -> None:
        if not 0 < tolerance < np.inf:
            raise InputError(f"tolerance: expected a number above 0, got {tolerance}")
        self.model = model
        self.sites = sites or NativeEvaluator(lower(model.sites), threads)
        self._tolerance = tolerance
        self._is_latent = model.kind == "latent"

    # ---------------------------------------------------------------- energies

    def evaluate(self, structures: Sequence[Structure], *, committee: bool = False) -> list[Result]:
        """Energies, forces and virials, as `EnergyEvaluator`.

        Per-atom energies are ε_i + χ_i q_i + ½ q_i (M q)_i. The virial of charges belongs to no
        atom: each result has an equal part of it in every one, and only the sum has a meaning.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said below
            return self._evaluated(structures, committee) if structures else []

    def _evaluated(self, structures: Sequence[Structure], committee: bool) -> list[Result]:
        sites = self.sites.values(structures)
        states: list[list[_State]] = []
        errors: list[InputError | None] = []
        for number, (structure, found) in enumerate(zip(structures, sites, strict=True)):
            states.append([])
            errors.append(found.error)
            if found.error is not None:
                continue
            try:
                states[-1] = self._states(structure, found, committee)
            except (InputError, ConvergenceError) as raised:
                which = number if len(structures) > 1 else None
                errors[-1] = named(structure, raised, which)
        members = self.sites.tables.members if committee else 1
        pulled = [self._pulled(structures, states, m) for m in range(members)]
        results = []
        for k, structure in enumerate(structures):
            if errors[k] is None:
                parts = [self._part(states[k][m], pulled[m][k]) for m in range(members)]
                results.append(_result(parts, committee))
                if not is_finite((results[-1].energies, results[-1].forces)):
                    which = k if len(structures) > 1 else None
                    wrong = InputError("its numbers are not finite")
                    errors[k] = named(structure, wrong, which)
            if (error := errors[k]) is not None:
                results[k:] = [no_result(structure, error, members - 1 if committee else None)]
        return results

    def _states(self, structure: Structure, found: Sites, committee: bool) -> list[_State]:
        """The charges of every member, and what they do."""
        sums = self._sums(structure)
        y = found.values[0][:, :, 0].reshape(len(structure), -1, 2)
        last = None
        made = []
        for m in range(y.shape[1] if committee else 1):
            state = self._state(structure, sums, y[:, m, 0], y[:, m, 1], last)
            last = state.charges
            made.append(state)
        return made

    def _state(
        self, structure: Structure, sums: _Sums, energy: Floats, output: Floats, last: Floats | None
    ) -> _State:
        total = structure.charge or 0.0
        q = _shifted(output, total) if self._is_latent else sums.solve(output, total, last)
        potential = sums.product(q)
        forces, virial = sums.pull(q)
        if self._is_latent:
            return _State(
                q, energy + 0.5 * q * potential, potential - potential.mean(), forces, virial
            )
        hard = self._hardness(structure)
        own = energy + q * (output + 0.5 * (potential + hard * q))
        return _State(q, own, q, forces, virial)

    def _pulled(
        self, structures: Sequence[Structure], states: list[list[_State]], member: int
    ) -> list[Pullback]:
        """The pullback of one member's adjoints."""
        width = self.sites.tables.widths[0]
        adjoints = []
        for structure, own in zip(structures, states, strict=True):
            a = np.zeros((len(structure), width, 1))
            if own:
                a[:, 2 * member, 0] = 1.0
                a[:, 2 * member + 1, 0] = own[member].adjoint
            adjoints.append((a,))
        return self.sites.pullback(structures, adjoints)

    def _part(self, state: _State, pulled: Pullback) -> Result:
        shared = state.virial / len(state.charges)
        return Result(state.energies, pulled.forces + state.forces, pulled.virials + shared)

    # ---------------------------------------------------------------- charges

    def charges(self, structures: Sequence[Structure]) -> list[Charges]:
        """Charges of several structures.

        Args:
            structures: atoms and cells; `charge` is the total, None stands for 0.

        Raises:
            InputError: a structure that cannot be evaluated.
        """
        made = []
        for structure, found in zip(
            structures, require(self.sites.values(structures)), strict=True
        ):
            output, total, level = found.values[0][:, 1, 0], structure.charge or 0.0, None
            if self._is_latent:
                q = _shifted(output, total)
            else:
                sums = self._sums(structure)
                q = sums.solve(output, total, None)
                field = output + sums.product(q) + self._hardness(structure) * q
                level = -float(field.mean())
            dipole = None if structure.pbc.any() else q @ structure.positions
            made.append(Charges(q, dipole, level, output))
        return made

    def born_charges(self, structure: Structure) -> Floats:
        """Born effective charges Z_iab = ∂D_a/∂r_ib in e, shape (n, 3, 3).

        In a cell that repeats a dipole is that of a wave along each reciprocal lattice vector b,
        Z_i b = q_i b + Σ_j sin b·(r_j - r_i) ∂q_j/∂r_i: exact for a long cell. Equilibrated charges
        screen such a wave.

        Args:
            structure: atoms and cell.

        Raises:
            InputError: a structure that cannot be evaluated, or with too many atoms.
        """
        (q,) = (one.values for one in self.charges([structure]))
        sums = self._dense(structure)
        if not structure.pbc.any():
            slopes = [self._slope(structure, sums, q, r) for r in structure.positions.T]
            moved = np.stack(slopes, axis=1)
            return np.asarray(moved + q[:, None, None] * np.eye(3))
        b = 2 * np.pi * np.linalg.inv(structure.cell).T
        phase = structure.positions @ b.T
        waves = []
        for c in range(3):
            sine = self._slope(structure, sums, q, np.sin(phase[:, c]))
            cosine = self._slope(structure, sums, q, np.cos(phase[:, c]))
            turned = np.cos(phase[:, c, None]) * sine - np.sin(phase[:, c, None]) * cosine
            waves.append(turned + q[:, None] * b[c])
        return np.asarray(np.einsum("ac,icb->iab", np.linalg.inv(b), np.stack(waves, axis=1)))

    def _slope(self, structure: Structure, sums: _Dense, q: Floats, weights: Floats) -> Floats:
        """Σ_j w_j ∂q_j/∂r, shape (n, 3)."""
        if self._is_latent:
            adjoint, forces = weights - weights.mean(), np.zeros((len(q), 3))
        else:
            adjoint = -sums.factorised.projected(weights)
            forces, _ = sums.matrix.pull(adjoint, q)
        a = np.zeros((len(structure), self.sites.tables.widths[0], 1))
        a[:, 1, 0] = adjoint
        (pulled,) = require(self.sites.pullback([structure], [(a,)]))
        return np.asarray(-(pulled.forces + forces))

    # ---------------------------------------------------------------- sums

    def widths(self, structure: Structure) -> Floats:
        """S of every atom in Å, shape (n,)."""
        return self.model.widths[species_of(self.sites.tables, structure)]

    def _hardness(self, structure: Structure) -> Floats:
        return self.model.hardness[species_of(self.sites.tables, structure)]

    def _sums(self, structure: Structure) -> _Sums:
        require_bulk(structure)
        if len(structure) <= FEW or not structure.pbc.any():
            return self._dense(structure)
        hard, tolerance = self._hardness(structure), self._tolerance * np.sqrt(len(structure))
        widths, threads = self.widths(structure), getattr(self.sites, "threads", 1)
        fine = Mesh(structure, widths, threads)
        coarse = Mesh(
            structure,
            widths,
            threads,
            spacing=COARSE[0],
            order=COARSE[1],
            pairs=fine.pairs.within(COARSE[2]),
        )
        return _Meshed(fine, coarse, hard, tolerance)

    def _dense(self, structure: Structure) -> _Dense:
        if len(structure) > MOST_ISOLATED:
            raise InputError(
                f"expected up to {MOST_ISOLATED} atoms where charges have a matrix, got "
                f"{len(structure)}; put isolated atoms into a large cell with pbc in all directions"
            )
        hard = self._hardness(structure)
        return _Dense(interaction(structure, self.widths(structure)), hard)


@dataclass(frozen=True, eq=False)
class _State:
    """Charges of one member: energies of atoms, the adjoint of its output, forces and virial."""

    charges: Floats
    energies: Floats
    adjoint: Floats
    forces: Floats
    virial: Floats


class _Dense:
    """A as a matrix."""

    def __init__(self, matrix: Interaction, hardness: Floats) -> None:
        self.matrix, self._hardness = matrix, hardness
        self._factorised: Factorised | None = None

    @property
    def factorised(self) -> Factorised:
        """M."""
        if self._factorised is None:
            hard = self.matrix.matrix.copy()
            hard[np.diag_indices(len(hard))] += self._hardness
            self._factorised = Factorised.of(hard)
        return self._factorised

    def solve(self, chi: Floats, total: float, start: Floats | None) -> Floats:
        hard, matrix = self._hardness, self.matrix.matrix
        if len(hard) <= FACTORISED or not hard.min() > 0:
            return self.factorised.charges(chi, total)
        single = matrix.astype(np.float32)  # half as much to read in most steps
        return refined(
            lambda q: matrix @ q + hard * q,
            lambda q: single @ q.astype(np.float32) + hard * q,
            matrix.diagonal() + hard, chi, total, start, EXACT * np.sqrt(len(chi)),
            float(hard.min()),
        )  # fmt: skip

    def product(self, q: Floats) -> Floats:
        return np.asarray(self.matrix.matrix @ q)

    def pull(self, q: Floats) -> tuple[Floats, Floats]:
        return self.matrix.pull(0.5 * q, q)


class _Meshed:
    """A by its products."""

    def __init__(self, mesh: Mesh, coarse: Mesh, hardness: Floats, tolerance: float) -> None:
        self._mesh, self._coarse = mesh, coarse
        self._hardness, self._tolerance = hardness, tolerance

    def solve(self, chi: Floats, total: float, start: Floats | None) -> Floats:
        hard = self._hardness
        return refined(
            lambda q: self._mesh.product(q) + hard * q,
            lambda q: self._coarse.product(q) + hard * q,
            self._mesh.diagonal + hard, chi, total, start, self._tolerance, float(hard.min()),
        )  # fmt: skip

    def product(self, q: Floats) -> Floats:
        return self._mesh.product(q)

    def pull(self, q: Floats) -> tuple[Floats, Floats]:
        return self._mesh.pull(q)


def _shifted(outputs: Floats, total: float) -> Floats:
    """Latent charges: outputs shifted alike until they add up to the total charge."""
    return np.asarray(outputs - (outputs.sum() - total) / len(outputs))


def _result(parts: list[Result], committee: bool) -> Result:
    """The model's result, with those of its members if they were asked for."""
    first, rest = parts[0], parts[1:]
    members = None
    if committee:
        members = CommitteeResult(
            np.array([r.energy for r in rest]),
            np.array([r.forces for r in rest]),
            np.array([r.virial for r in rest]),
        )
    return Result(first.energies, first.forces, first.virials, members)
