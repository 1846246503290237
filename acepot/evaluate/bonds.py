"""Outputs of bonds: features of a site times the harmonics of a bond, from both of its ends.

    F_k^L(i→j) = Σ_{m' m} T^{L' l L}[m', m, M] B_i^{L' m'} R_n(r_ij) Y_lm(d̂_ij)
    h^L_ij     = Σ_k c_k F_k^L(i→j) ± Σ_k c'_k F_k^L(j→i)

Every function has exactly one factor of the bond, so coefficients are contracted with the sites
first: one evaluation of the sites and a small sum for each bond. Where c, c' and the sign belong
to the blocks (α, β) and (β, α) of a matrix the result is hermitian exactly, whatever the sites
are. Matrix blocks, friction tensors and bond charges are made of these outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acepot.basis.bond import BondSpec, couplings
from acepot.basis.coupling import real_clebsch_gordan
from acepot.basis.harmonics import real_harmonics
from acepot.basis.irrep import Irrep
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, Ints, Pullback, Sites, each, require, species_of
from acepot.lowering import lower
from acepot.model import BondModel
from acepot.neighbours import build
from acepot.structure import Structure
from acepot.tables import Tables


@dataclass(frozen=True, eq=False)
class Bonds:
    """The directed bonds of a structure: every bond appears from both ends.

    Args:
        centre: atom i it begins at, shape (E,).
        neighbour: atom j it ends at, shape (E,).
        shift: periodic image of j, shape (E, 3).
        vector: d = r_j - r_i + shift @ cell in Å, shape (E, 3).
        reverse: number of the bond j→i, shape (E,).
        radial: R_n(r), shape (E, n).
        radial_slope: dR_n/dr in 1/Å, likewise.
        harmonics: Y_lm(d̂), shape (E, lm).
        gradient: dY_lm/dd in 1/Å, shape (E, lm, 3).
    """

    centre: Ints
    neighbour: Ints
    shift: Ints
    vector: Floats
    reverse: Ints
    radial: Floats
    radial_slope: Floats
    harmonics: Floats
    gradient: Floats


def bonds_of(structure: Structure, tables: Tables, spec: BondSpec) -> Bonds:
    """The bonds of a structure and the functions of each alone.

    Args:
        structure: atoms and cell.
        tables: of the basis of the sites, for its elements.
        spec: resolved.

    Raises:
        InputError: an unknown element, or coinciding atoms.
    """
    species = species_of(tables, structure)
    functions = spec.functions(tuple(SYMBOLS[z] for z in tables.numbers))
    cutoff = np.array([[f.cutoff for f in row] for row in functions])
    if (cutoff != cutoff.T).any():
        raise InputError("bonds.cutoff: expected one for both orders of a pair; use resolve_bonds")
    edges = build(structure, float(cutoff.max()))
    r = np.linalg.norm(edges.vector, axis=1)
    kept = np.flatnonzero(r < cutoff[species[edges.centre], species[edges.neighbour]])
    centre, neighbour = edges.centre[kept], edges.neighbour[kept]
    shift, vector, r = edges.shift[kept].astype(np.int64), edges.vector[kept], r[kept]
    there = np.lexsort((*shift.T[::-1], neighbour, centre))
    back = np.lexsort((*(-shift).T[::-1], centre, neighbour))
    reverse = np.empty(len(kept), dtype=np.int64)
    reverse[back] = there
    radial, slope = np.zeros((2, len(kept), spec.degree))
    for a, row in enumerate(functions):
        for b, family in enumerate(row):
            mine = np.flatnonzero((species[centre] == a) & (species[neighbour] == b))
            if len(mine):
                jet = family.evaluate(r[mine])
                radial[mine], slope[mine] = jet.value.T, jet.first.T
    unit = vector / r[:, None]
    harmonics, gradient = real_harmonics(unit, spec.max_l)
    along = np.einsum("eyx,ex->ey", gradient, unit)
    gradient = (gradient - along[..., None] * unit[:, None]) / r[:, None, None]
    return Bonds(
        centre, neighbour, shift, vector, reverse, radial, slope, harmonics, gradient
    )  # fmt: skip


class BondCoupling:
    """The functions F_k of one (L, parity) of the bonds, and what is read out of them.

    Functions are ordered by irrep L' of the sites, then l of the bond, then function of the site,
    then n.

    Args:
        tables: basis of the sites (with the constant function: what depends on the bond alone).
        spec: resolved functions of the bonds.
        irrep: L and parity of the outputs.
    """

    def __init__(self, tables: Tables, spec: BondSpec, irrep: Irrep) -> None:
        self.tables, self.spec, self.irrep = tables, spec, irrep
        self._parts = [
            (site, l, real_clebsch_gordan(tables.irreps[site].l, l, irrep.l))
            for site, l in couplings(tables.irreps, spec, irrep)  # noqa: E741 - the field's symbol
        ]
        self.sizes = [tables.widths[site] * spec.degree for site, _, _ in self._parts]

    @property
    def size(self) -> int:
        """Number K of functions."""
        return sum(self.sizes)

    def functions(self, sites: Sites, bonds: Bonds) -> Floats:
        """F_k(i→j) of every bond: design rows of a fit.

        Args:
            sites: values of the basis of the sites.
            bonds: of the same structure.

        Returns:
            Shape (E, K, 2L + 1).
        """
        parts = [np.zeros((len(bonds.centre), 0, self.irrep.dim))]
        for site, l, t in self._parts:  # noqa: E741
            b = sites.values[site][bonds.centre]  # [e, k', m']
            y = bonds.harmonics[:, l * l : (l + 1) ** 2]
            coupled = np.einsum("ekp,em,pmx->ekx", b, y, t)
            made = coupled[:, :, None] * bonds.radial[:, None, :, None]  # [e, k', n, x]
            parts.append(made.reshape(len(made), b.shape[1] * self.spec.degree, self.irrep.dim))
        return np.concatenate(parts, axis=1)

    def outputs(self, coefficients: Floats, sites: Sites, bonds: Bonds) -> Floats:
        """Σ_k c_ok F_k(i→j) of every bond, contracted once for each site.

        Args:
            coefficients: shape (outputs, K).
            sites: values of the basis of the sites.
            bonds: of the same structure.

        Returns:
            Shape (E, outputs, 2L + 1).
        """
        t = self._contracted(coefficients, sites)
        out = np.zeros((len(bonds.centre), len(coefficients), self.irrep.dim))
        for l, one in t.items():  # noqa: E741
            y = bonds.harmonics[:, l * l : (l + 1) ** 2]
            out += np.einsum("eonmx,en,em->eox", one[bonds.centre], bonds.radial, y, optimize=True)
        return out

    def pullback(
        self, coefficients: Floats, sites: Sites, bonds: Bonds, adjoint: Floats
    ) -> tuple[tuple[Floats, ...], Pullback]:
        """What adjoints of the outputs mean for the sites and, directly, for the atoms.

        Args:
            coefficients: shape (outputs, K).
            sites: values of the basis of the sites.
            bonds: of the same structure.
            adjoint: ∂Loss/∂output, shape (E, outputs, 2L + 1).

        Returns:
            Adjoints of the values of the sites, for `SiteEvaluator.pullback`, and the forces and
            virials that act along the bonds themselves; the two add up.
        """
        coefficients = np.asarray(coefficients, dtype=float)
        atoms = len(sites.values[0])
        by_bond = np.zeros((len(bonds.centre), 3))
        unit = bonds.vector / np.linalg.norm(bonds.vector, axis=1)[:, None]
        for l, one in self._contracted(coefficients, sites).items():  # noqa: E741
            y = slice(l * l, (l + 1) ** 2)
            inner = np.einsum("eonmx,eox->enm", one[bonds.centre], adjoint, optimize=True)
            stretch = np.einsum("enm,en,em->e", inner, bonds.radial_slope, bonds.harmonics[:, y])
            turn = np.einsum("enm,en,emc->ec", inner, bonds.radial, bonds.gradient[:, y])
            by_bond += stretch[:, None] * unit + turn
        forces, virials = np.zeros((atoms, 3)), np.zeros((atoms, 3, 3))
        np.add.at(forces, bonds.centre, by_bond)
        np.add.at(forces, bonds.neighbour, -by_bond)
        np.add.at(virials, bonds.centre, -bonds.vector[:, :, None] * by_bond[:, None, :])
        return self._site_adjoint(coefficients, bonds, adjoint, atoms), Pullback(forces, virials)

    def _site_adjoint(
        self, coefficients: Floats, bonds: Bonds, adjoint: Floats, atoms: int
    ) -> tuple[Floats, ...]:
        shapes = zip(self.tables.widths, self.tables.irreps, strict=True)
        out = tuple(np.zeros((atoms, width, irrep.dim)) for width, irrep in shapes)
        start = 0
        for (site, l, t), size in zip(self._parts, self.sizes, strict=True):  # noqa: E741
            c = coefficients[:, start : start + size].reshape(
                len(coefficients), self.tables.widths[site], self.spec.degree
            )
            start += size
            y = bonds.harmonics[:, l * l : (l + 1) ** 2]
            each = np.einsum("eox,en,em->eonmx", adjoint, bonds.radial, y, optimize=True)
            summed = np.zeros((atoms, *each.shape[1:]))
            np.add.at(summed, bonds.centre, each)
            out[site][:] += np.einsum("okn,ionmx,pmx->ikp", c, summed, t, optimize=True)
        return out

    def _contracted(self, coefficients: Floats, sites: Sites) -> dict[int, Floats]:
        """For each l: Σ_k c_okn Σ_m' T[m', m, M] B_ik^m', shape (atoms, outputs, n, m, M)."""
        given = np.asarray(coefficients, dtype=float)
        if given.ndim != 2 or given.shape[1] != self.size or not np.isfinite(given).all():
            raise InputError(
                f"coefficients: expected finite numbers of shape (outputs, {self.size}), "
                f"got {given.shape}"
            )
        out: dict[int, Floats] = {}
        start = 0
        for (site, l, t), size in zip(self._parts, self.sizes, strict=True):  # noqa: E741
            b = sites.values[site]
            c = given[:, start : start + size].reshape(len(given), b.shape[1], self.spec.degree)
            start += size
            made = np.einsum("okn,ikp,pmx->ionmx", c, b, t, optimize=True)
            out[l] = out[l] + made if l in out else made
        return out


def both_ends(there: Floats, back: Floats, bonds: Bonds, sign: int) -> Floats:
    """h_ij = there_ij ± back_ji: outputs of a bond seen from both of its ends.

    With the outputs of the blocks (α, β) for `there`, of (β, α) for `back` and the sign
    (-1)^(l_α + l_β - L) the matrix that they make is hermitian to the last bit.

    Args:
        there: outputs of the directed bonds, shape (E, outputs, 2L + 1).
        back: outputs that are read at the other end, likewise.
        bonds: for which bond is which seen from its other end.
        sign: +1 or -1.
    """
    return np.asarray(there + sign * back[bonds.reverse])


def block(parts: Sequence[tuple[int, Floats]], l1: int, l2: int) -> Floats:
    """Matrix blocks from their irreducible parts, H[m1, m2] = Σ_L Σ_M T[m1, m2, M] h^L_M.

    Args:
        parts: (L, h^L) with h^L of shape (…, 2L + 1), for L from |l1 - l2| to l1 + l2.
        l1: angular momentum of the rows.
        l2: angular momentum of the columns.

    Returns:
        Shape (…, 2 l1 + 1, 2 l2 + 1).
    """
    made = [
        np.einsum("...M,xyM->...xy", h, real_clebsch_gordan(l1, l2, total)) for total, h in parts
    ]
    return np.asarray(np.sum(made, axis=0))


def irreducible(block: Floats, l1: int, l2: int, total: int) -> Floats:
    """The part h^L_M = Σ T[m1, m2, M] H[m1, m2] of matrix blocks.

    Args:
        block: shape (…, 2 l1 + 1, 2 l2 + 1).
        l1: angular momentum of the rows.
        l2: angular momentum of the columns.
        total: L.

    Returns:
        Shape (…, 2L + 1).
    """
    return np.asarray(np.einsum("...xy,xyM->...M", block, real_clebsch_gordan(l1, l2, total)))


@dataclass(frozen=True, eq=False)
class BondValues:
    """Outputs of every directed bond of one structure.

    Args:
        bonds: they; None where `error` is.
        values: for each irrep of the model, shape (E, members × outputs, 2L + 1).
        error: why this structure could not be evaluated.
    """

    bonds: Bonds | None
    values: tuple[Floats, ...]
    error: InputError | None = None


class BondEvaluator:
    """Evaluates a model of bonds.

    Args:
        model: with its sites and bonds resolved.
    """

    def __init__(self, model: BondModel) -> None:
        self.model = model
        self._sites = NativeEvaluator(lower(model.basis))
        self._couplings = [
            BondCoupling(self._sites.tables, model.bonds, irrep) for irrep in model.irreps
        ]

    def values(self, structures: Sequence[Structure]) -> list[BondValues]:
        """h_ijo of every directed bond; what is wrong with one structure does not stop others."""

        def compute(_number: int, structure: Structure) -> BondValues:
            (sites,) = require(self._sites.values([structure]))
            bonds = bonds_of(structure, self._sites.tables, self.model.bonds)
            outputs = (
                coupling.outputs(c.reshape(c.shape[0] * c.shape[1], c.shape[2]), sites, bonds)
                for coupling, c in zip(self._couplings, self.model.coefficients, strict=True)
            )
            return BondValues(bonds, tuple(outputs))

        return each(structures, compute, lambda _s, error: BondValues(None, (), error))
