"""One structure of a fit with charges: its labels, what a model says of them, and derivatives.

The functions of the sites B_ik and their derivatives along every motion of the atoms are all that
is needed of a basis. With D = ∂q/∂c = -P B (equilibrated), or B less its mean (latent):

    ∂E/∂c  = qᵀB                      -∂F/∂c = Σ_i q_i ∂B_i + Σ_i D_i ∂χ_i + qᵀ(∂A) D
    latent: ∂E/∂c = φᵀD               -∂F/∂c = Σ_i a_i ∂B_i + Σ_i (P A D)_i ∂c_i + qᵀ(∂A) D,
                                       a = φ less its mean, φ = A q

(the first is the envelope theorem). The Born charges, too, are linear in the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from acepot.charges.equilibration import Factorised
from acepot.charges.interaction import Interaction, interaction
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, require, species_of
from acepot.fitting.charges.settings import ChargeWeights
from acepot.structure import Structure
from acepot.voigt import INDEX, from_voigt, to_voigt

__all__ = ["LABELS", "Frame", "Said", "motions"]

#: What may be fitted, in the order of the rows.
LABELS = ("energy", "forces", "virial", "charges", "dipole", "born")


@dataclass(frozen=True, eq=False)
class Said:
    """What a model says of one structure.

    Args:
        values: by label, flat.
        slopes: by label, derivatives by the coefficients of energies and of the second output,
            shape (m, 2 K); empty where they were not asked for.
    """

    values: dict[str, Floats]
    slopes: dict[str, Floats]


def motions(evaluator: NativeEvaluator, structure: Structure, strains: bool) -> Floats:
    """∂B_ik along every motion of the atoms, and strain, shape (3 n + 6 or 0, n, K).

    Args:
        evaluator: of the basis.
        structure: atoms and cell.
        strains: also the six strains xx yy zz yz xz xy.
    """
    n = len(structure)
    count = 3 * n + 6 * strains
    moved: list[Floats | None] = [None] * count
    strained: list[Floats | None] = [None] * count
    for m in range(3 * n):
        u = np.zeros((n, 3))
        u.flat[m] = 1.0
        moved[m] = u
    for v in range(6 * strains):
        # A symmetric strain: W is symmetric where the energy does not know of rotations.
        strained[3 * n + v] = from_voigt(np.eye(6)[v]) / (1 if v < 3 else 2)
    found = require(evaluator.jvp([structure] * count, moved, strained))
    return np.stack([one.values[0][:, :, 0] for one in found])


class Frame:
    """One structure.

    Args:
        structure: with labels.
        evaluator: of the basis.
        weights: of its labels.
        e0: energies of isolated atoms in eV by species, shape (S,).
        latent: whether charges are outputs.
        keep: whether derivatives of the functions are kept, or made again each time.

    Raises:
        InputError: labels of the wrong shape, or that make no sense in a cell.
    """

    def __init__(
        self,
        structure: Structure,
        evaluator: NativeEvaluator,
        weights: ChargeWeights,
        e0: Floats,
        latent: bool,
        keep: bool,
    ) -> None:
        self.structure, self._evaluator, self._latent, self._keep = (
            structure, evaluator, latent, keep,
        )  # fmt: skip
        self.species = species_of(evaluator.tables, structure)
        (sites,) = require(evaluator.values([structure]))
        self.functions = sites.values[0][:, :, 0].copy()
        self._kept: Floats | None = None
        self._of_widths: tuple[bytes, Interaction] | None = None
        self._weights = weights
        self.labels = self._labelled(float(e0[self.species].sum()))

    def __len__(self) -> int:
        return len(self.structure)

    @property
    def total(self) -> float:
        """Q in e."""
        return self.structure.charge or 0.0

    def _labelled(self, e0: float) -> dict[str, Floats]:
        """Every label that is there and has a weight, flat; energies without those of atoms."""
        s, n = self.structure, len(self.structure)
        given: dict[str, Floats] = {}
        if s.energy is not None:
            given["energy"] = np.array([s.energy - e0])
        if s.forces is not None:
            given["forces"] = s.forces
        if s.virial is not None:
            given["virial"] = to_voigt(s.virial)
        sizes = {"charges": n, "dipole": 3, "born": 9 * n}
        for name, size in sizes.items():
            if (label := s.labels.get(name)) is None:
                continue
            if label.size != size:
                raise InputError(
                    f"{s.name or 'structure'}: {name}: expected {size} numbers, got shape "
                    f"{label.shape}"
                )
            if name != "charges" and s.pbc.any() and getattr(self._weights, name):
                raise InputError(
                    f"{s.name or 'structure'}: {name}: fitted of isolated structures alone, got "
                    f"pbc {s.pbc.tolist()}; set weights.{name} = 0 to leave it out"
                )
            given[name] = label
        return {
            name: np.asarray(given[name], dtype=float).ravel()
            for name in LABELS
            if name in given and getattr(self._weights, name) > 0
        }

    def weight(self, name: str) -> float:
        """What residuals of a label are multiplied by."""
        weight = float(getattr(self._weights, name))
        return weight / np.sqrt(len(self)) if name in ("energy", "virial", "dipole") else weight

    @property
    def motions(self) -> Floats:
        """As `motions`."""
        if self._kept is not None:
            return self._kept
        made = motions(self._evaluator, self.structure, "virial" in self.labels)
        if self._keep:
            self._kept = made
        return made

    def sums(self, widths: Floats) -> Interaction:
        """A with widths of species, shape (S,)."""
        key = widths.tobytes()
        if self._of_widths is None or self._of_widths[0] != key:
            self._of_widths = (key, interaction(self.structure, widths[self.species]))
        return self._of_widths[1]

    # ---------------------------------------------------------------- predictions

    def said(
        self, energy: Floats, output: Floats, hardness: Floats, widths: Floats, slopes: bool
    ) -> Said:
        """What a model says, and its derivatives by coefficients.

        Args:
            energy: coefficients of the energy, shape (K,).
            output: of the second output, shape (K,).
            hardness: J of species in eV/e², shape (S,).
            widths: s of species in Å, shape (S,).
            slopes: whether derivatives are wanted.
        """
        sums = self.sums(widths)
        return _Prediction(self, energy, output, hardness, sums).said(slopes)


class _Prediction:
    """One evaluation of one frame."""

    def __init__(
        self, frame: Frame, energy: Floats, output: Floats, hardness: Floats, sums: Interaction
    ) -> None:
        self.frame, self.energy, self.output, self.sums = frame, energy, output, sums
        self.b = frame.functions
        self.latent = frame._latent
        a, n = sums.matrix, len(frame)
        y = self.b @ output
        if self.latent:
            self.factorised: Factorised | None = None
            self.q = y - (y.sum() - frame.total) / n
            potential = a @ self.q
            self.adjoint = potential - potential.mean()
            self.long = 0.5 * float(self.q @ potential)
        else:
            hard = hardness[frame.species]
            self.factorised = Factorised.of(a + np.diag(hard))
            self.q = self.factorised.charges(y, frame.total)
            self.adjoint = self.q
            self.long = float(self.q @ (y + 0.5 * (a @ self.q + hard * self.q)))

    @cached_property
    def d(self) -> Floats:
        """∂q/∂c, shape (n, K)."""
        if self.factorised is None:
            return np.asarray(self.b - self.b.mean(axis=0))
        return -self.factorised.projected(self.b)

    def said(self, slopes: bool) -> Said:
        """Everything that has a label."""
        values: dict[str, Floats] = {}
        made: dict[str, Floats] = {}
        labels, zero = self.frame.labels, np.zeros_like
        if "energy" in labels:
            own = self.b.sum(axis=0)
            values["energy"] = np.array([own @ self.energy + self.long])
            if slopes:
                made["energy"] = np.concatenate((own, self._adjoint_of_b()))[None]
        if "forces" in labels or "virial" in labels:
            self._moved(values, made, slopes)
        if "charges" in labels:
            values["charges"] = self.q
            if slopes:
                made["charges"] = np.concatenate((zero(self.d), self.d), axis=1)
        r = self.frame.structure.positions
        if "dipole" in labels:
            values["dipole"] = self.q @ r
            if slopes:
                rows = r.T @ self.d
                made["dipole"] = np.concatenate((zero(rows), rows), axis=1)
        if "born" in labels:
            rows = self._born_rows()
            # Linear in c, but for what a total charge has: all of it is in q.
            fixed = self._born_of_total()
            values["born"] = rows @ self.output + fixed
            if slopes:
                made["born"] = np.concatenate((zero(rows), rows), axis=1)
        return Said(values, made)

    def _adjoint_of_b(self) -> Floats:
        """∂E/∂c of the second output, shape (K,)."""
        return np.asarray(self.adjoint @ self.b)

    def _moved(self, values: dict[str, Floats], made: dict[str, Floats], slopes: bool) -> None:
        """Forces and virial."""
        frame, labels = self.frame, self.frame.labels
        n, moved = len(frame), frame.motions
        along = moved @ self.output  # ∂y_i, [m, n]
        plain = moved.sum(axis=1)  # [m, K]
        minus = plain @ self.energy + along @ self.adjoint
        forces, virial = self.sums.pull(0.5 * self.q, self.q)
        minus[: 3 * n] -= forces.ravel()
        if "virial" in labels:
            minus[3 * n :] -= to_voigt(virial)
        jacobian = None
        if slopes:
            own = np.tensordot(moved, self.adjoint, axes=(1, 0)) + along @ self._slope_of_adjoint()
            own += self._pairs(n, "virial" in labels)
            jacobian = np.concatenate((plain, own), axis=1)
        for name, rows in (("forces", slice(0, 3 * n)), ("virial", slice(3 * n, None))):
            if name in labels:
                values[name] = -minus[rows]
                if jacobian is not None:
                    made[name] = -jacobian[rows]

    def _slope_of_adjoint(self) -> Floats:
        """∂a/∂c, shape (n, K)."""
        if not self.latent:
            return self.d
        found = self.sums.matrix @ self.d
        return np.asarray(found - found.mean(axis=0))

    def _pairs(self, n: int, virial: bool) -> Floats:
        """qᵀ (∂A) D along every motion, shape (m, K)."""
        q, d, g = self.q, self.d, self._gradient
        rows = q[:, None, None] * np.tensordot(g, d, axes=(2, 0))
        rows += (g @ q)[:, :, None] * d[:, None, :]
        found = rows.reshape(3 * n, -1)
        if virial:
            strained = self.sums.strain()[INDEX]
            found = np.concatenate((found, (strained @ q) @ d))
        return np.asarray(found)

    @cached_property
    def _gradient(self) -> Floats:
        return self.sums.gradient()

    def _born_rows(self) -> Floats:
        """Z_iab by coefficients of the second output, shape (9 n, K)."""
        n, k = self.d.shape
        moved = self.frame.motions[: 3 * n].reshape(n, 3, n, k)
        made = np.zeros((n, 3, 3, k))  # [i, a, b]
        weights = self._weights_of_charges()
        for a in range(3):
            u = weights[a]
            found = np.tensordot(moved, u, axes=(2, 0))
            if not self.latent:
                g = self._gradient
                found += u[:, None, None] * np.tensordot(g, self.d, axes=(2, 0))
                found += (g @ u)[:, :, None] * self.d[:, None, :]
            made[:, a] = found
            made[:, a, a] += self.d
        return np.asarray(made.reshape(9 * n, k))

    def _weights_of_charges(self) -> Floats:
        """(∂D_a/∂q)ᵀ ∂q/∂y, shape (3, n)."""
        r = self.frame.structure.positions
        if self.factorised is None:
            return np.asarray((r - r.mean(axis=0)).T)
        return np.asarray(-self.factorised.projected(r).T)

    def _born_of_total(self) -> Floats:
        """What the total charge has in Z, where the coefficients are 0, shape (9 n,)."""
        n = len(self.frame)
        made = np.zeros((n, 3, 3))
        if self.factorised is None:
            spread = np.full(n, self.frame.total / n)
        else:
            spread = self.frame.total * self.factorised.response
            for a, u in enumerate(self._weights_of_charges()):
                made[:, a] = u[:, None] * (self._gradient @ spread)
                made[:, a] += (self._gradient @ u) * spread[:, None]
        made[:, range(3), range(3)] += spread[:, None]
        return np.asarray(made.ravel())
