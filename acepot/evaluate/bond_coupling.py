"""Outputs of bonds: features of a site times the harmonics of a bond, from both of its ends.

    F_k^L(i→j) = Σ_{m' m} T^{L' l L}[m', m, M] B_i^{L' m'} R_n(r_ij) Y_lm(d̂_ij)
    h^L_ij     = Σ_k c_k F_k^L(i→j) ± Σ_k c'_k F_k^L(j→i)

There is one F_k for each element of j. Every function has exactly one factor of the bond, so
coefficients are contracted with the sites first: one evaluation of the sites, then one matrix
product a site. Where c, c' and the sign belong to the blocks (α, β) and (β, α) of a matrix the
result is hermitian exactly, whatever the sites are. Matrix blocks, friction tensors and bond
charges are made of these outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from acepot.basis.bond import BondPart, BondSpec, bond_parts
from acepot.basis.coupling import real_clebsch_gordan
from acepot.basis.irrep import SCALAR, Irrep
from acepot.errors import InputError
from acepot.evaluate.bonds import Bonds, bonds_of
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, Ints, Pullback, Sites, each, require
from acepot.lowering import lower
from acepot.model import BondModel
from acepot.structure import Structure
from acepot.tables import Tables

#: Atoms whose coefficients are contracted at once: their arrays are some tens of megabytes.
_ATOMS = 64
#: Bonds that are handled at once where sites do not matter: their outputs stay in the cache.
_BONDS = 2048


class BondCoupling:
    """The functions F_k of one (L, parity) of the bonds, and what is read out of them.

    Functions are ordered by irrep L' of the sites, then l of the bond, then function of the site,
    then element of the neighbour, then n.

    Args:
        tables: basis of the sites (with the constant function: what depends on the bond alone).
        spec: resolved functions of the bonds.
        irrep: L and parity of the outputs.
    """

    def __init__(self, tables: Tables, spec: BondSpec, irrep: Irrep) -> None:
        self.tables, self.spec, self.irrep = tables, spec, irrep
        constant = _constant(tables)
        found = bond_parts(
            tables.irreps, tables.widths, int(constant.sum()), len(tables.numbers), spec, irrep
        )
        self.parts = tuple(_Part.of(one, tables, constant, irrep) for one in found)
        #: Whether nothing depends on the sites but their species.
        self.is_alone = all(
            tables.irreps[one.site] == SCALAR and bool(constant[one.functions].all())
            for one in self.parts
        )

    @property
    def size(self) -> int:
        """Number K of functions."""
        return sum(one.size for one in self.parts)

    def columns(self, centre: int, neighbour: int) -> Ints:
        """Numbers of the functions that bonds from one species to another one have.

        Args:
            centre: species index of i.
            neighbour: species index of j.
        """
        found, start = [np.zeros(0, dtype=np.int64)], 0
        for one in self.parts:
            numbers = start + np.arange(one.size).reshape(one.shape)
            found.append(numbers[one.centres == centre, neighbour].ravel())
            start += one.size
        return np.concatenate(found)

    def functions(self, sites: Sites, bonds: Bonds) -> Floats:
        """F_k(i→j) of every bond: design rows of a fit.

        Args:
            sites: values of the basis of the sites.
            bonds: of the same structure.

        Returns:
            Shape (E, K, 2L + 1).
        """
        made = np.zeros((len(bonds.centre), self.size, self.irrep.dim))
        for a in range(len(self.tables.numbers)):
            for b in range(len(self.tables.numbers)):
                mine = (bonds.species[bonds.centre] == a) & (bonds.species[bonds.neighbour] == b)
                which = np.flatnonzero(mine)
                place = np.ix_(which, self.columns(a, b))
                made[place] = self.functions_of(sites, bonds, which, a)
        return made

    def functions_of(self, sites: Sites, bonds: Bonds, which: Ints, centre: int) -> Floats:
        """F_k(i→j) of bonds from one species to another one, for the functions that these have.

        Args:
            sites: values of the basis of the sites.
            bonds: of the same structure.
            which: numbers of bonds, shape (e,).
            centre: species index of i.

        Returns:
            Shape (e, columns, 2L + 1).
        """
        made = [np.zeros((len(which), 0, self.irrep.dim))]
        atoms = bonds.centre[which]
        for one in self.parts:
            chosen = one.functions[one.centres == centre]
            b = sites.values[one.site][:, chosen]
            y = bonds.harmonics[which, one.l**2 : (one.l + 1) ** 2]
            turned = np.einsum("em,pmx->epx", y, one.coupling)
            coupled = np.matmul(b[atoms], turned)  # [e, k, x]
            r = bonds.radial[which, : one.degree]
            part = coupled[:, :, None] * r[:, None, :, None]  # [e, k, n, x]
            made.append(part.reshape(len(which), len(chosen) * one.degree, self.irrep.dim))
        return np.concatenate(made, axis=1)

    def outputs(self, coefficients: Floats, sites: Sites, bonds: Bonds) -> Floats:
        """Σ_k c_ok F_k(i→j) of every bond, contracted once for each site.

        Args:
            coefficients: shape (outputs, K).
            sites: values of the basis of the sites.
            bonds: of the same structure.

        Returns:
            Shape (E, outputs, 2L + 1).
        """
        return BondReadout([self], [coefficients]).outputs(sites, bonds)[0]

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
            As `BondReadout.pullback`.
        """
        return BondReadout([self], [coefficients]).pullback(sites, bonds, [adjoint])


@dataclass(frozen=True, eq=False)
class _Part:
    """A `BondPart` with what belongs to it.

    Args:
        site, l, width, degree: as of `BondPart`.
        shape: of its functions: of the site, element of the neighbour, n.
        functions: which functions of the sites it has, shape (width,).
        centres: species each of them belongs to, shape (width,).
        coupling: T^{L' l L}, shape (2L' + 1, 2l + 1, 2L + 1).
    """

    site: int
    l: int  # noqa: E741 - the field's own symbol
    degree: int
    shape: tuple[int, int, int]
    functions: Ints
    centres: Ints
    coupling: Floats

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @classmethod
    def of(cls, part: BondPart, tables: Tables, constant: Floats, irrep: Irrep) -> _Part:
        other = tables.irreps[part.site]
        functions = np.arange(tables.widths[part.site])
        if part.size < part.elements * part.degree * len(functions):  # constants are apart
            functions = functions[constant == part.constant]
        return cls(
            part.site,
            part.l,
            part.degree,
            (part.width, part.elements, part.degree),
            functions,
            _centres(tables, part.site)[functions],
            real_clebsch_gordan(other.l, part.l, irrep.l),
        )


class BondReadout:
    """Outputs of several (L, parity) of the bonds at once.

    Args:
        couplings: with the same basis of the sites and the same functions of the bonds.
        coefficients: for each, shape (outputs, K).

    Raises:
        InputError: coefficients of another shape, or numbers that are not finite.
    """

    def __init__(self, couplings: Sequence[BondCoupling], coefficients: Sequence[Floats]) -> None:
        self._couplings = couplings
        self._given = [_checked(one, c) for one, c in zip(couplings, coefficients, strict=True)]
        self._shapes = [
            (len(c), one.irrep.dim) for one, c in zip(couplings, self._given, strict=True)
        ]
        self._spec, self._tables = couplings[0].spec, couplings[0].tables

    def outputs(self, sites: Sites, bonds: Bonds) -> list[Floats]:
        """Σ_k c_ok F_k(i→j) of every bond.

        Args:
            sites: values of the basis of the sites.
            bonds: of the same structure.

        Returns:
            For each coupling, shape (E, outputs, 2L + 1).
        """
        rows = np.zeros((len(bonds.centre), self._width))
        self._multiply(sites, bonds, bonds.radial, bonds.harmonics, rows)
        return self._split(rows)

    def jvp(
        self, sites: Sites, slopes: Sites, bonds: Bonds, displacement: Floats, strain: Floats
    ) -> list[Floats]:
        """Derivatives of the outputs along a motion of the atoms.

        Args:
            sites: values of the basis of the sites.
            slopes: derivatives of these along the motion, as `SiteEvaluator.jvp` gives them.
            bonds: of the same structure.
            displacement: u of the atoms in Å, shape (n, 3).
            strain: ε of r -> r (1 + ε), vectors as rows, shape (3, 3).

        Returns:
            For each coupling, shape (E, outputs, 2L + 1).
        """
        rows = np.zeros((len(bonds.centre), self._width))
        radial, harmonics = bonds.slopes(displacement, strain)
        self._multiply(slopes, bonds, bonds.radial, bonds.harmonics, rows)
        self._multiply(sites, bonds, radial, bonds.harmonics, rows)
        self._multiply(sites, bonds, bonds.radial, harmonics, rows)
        return self._split(rows)

    def pullback(
        self, sites: Sites, bonds: Bonds, adjoints: Sequence[Floats]
    ) -> tuple[tuple[Floats, ...], Pullback]:
        """What adjoints of the outputs mean for the sites and, directly, for the atoms.

        Args:
            sites: values of the basis of the sites.
            bonds: of the same structure.
            adjoints: ∂Loss/∂output of each coupling, shape (E, outputs, 2L + 1).

        Returns:
            Adjoints of the values of the sites, for `SiteEvaluator.pullback`, and the forces and
            virials that act along the bonds themselves; the two add up.
        """
        count, atoms = len(bonds.centre), len(bonds.species)
        given = np.concatenate([np.reshape(a, (count, -1)) for a in adjoints], axis=1)
        shape = (-1, self._spec.most, bonds.harmonics.shape[1])
        by_bond = np.zeros((count, 3))
        unit = bonds.vector / np.linalg.norm(bonds.vector, axis=1)[:, None]
        out = tuple(
            np.zeros((atoms, width, irrep.dim))
            for width, irrep in zip(self._tables.widths, self._tables.irreps, strict=True)
        )
        for lower_atom, weights, groups in self._groups(sites, bonds):
            back = np.zeros_like(weights)
            for atom, element, mine in groups:
                place = (atom - lower_atom, element)
                own = self._products(bonds.radial[mine], bonds.harmonics[mine])
                back[place] = (given[mine].T @ own).reshape(weights.shape[2:])
                inner = given[mine] @ weights[place].reshape(self._width, own.shape[1])
                inner = inner.reshape(shape)
                y = np.einsum("enm,en->em", inner, bonds.radial[mine])
                stretch = np.einsum(
                    "enm,en,em->e", inner, bonds.radial_slope[mine], bonds.harmonics[mine]
                )
                by_bond[mine] = stretch[:, None] * unit[mine]
                by_bond[mine] += np.einsum("em,emc->ec", y, bonds.gradient[mine])
            self._to_sites(back, lower_atom, out, bonds)
        forces, virials = np.zeros((atoms, 3)), np.zeros((atoms, 3, 3))
        np.add.at(forces, bonds.centre, by_bond)
        np.add.at(forces, bonds.neighbour, -by_bond)
        np.add.at(virials, bonds.centre, -bonds.vector[:, :, None] * by_bond[:, None, :])
        return out, Pullback(forces, virials)

    @property
    def _width(self) -> int:
        """Numbers a bond: components of all outputs of all couplings."""
        return sum(outputs * dim for outputs, dim in self._shapes)

    def _split(self, rows: Floats) -> list[Floats]:
        found, start = [], 0
        for outputs, dim in self._shapes:
            part = rows[:, start : start + outputs * dim]
            found.append(part.reshape(len(rows), outputs, dim))
            start += outputs * dim
        return found

    @staticmethod
    def _products(radial: Floats, harmonics: Floats) -> Floats:
        """R_n Y_lm of some bonds, shape (e, n × lm)."""
        made = radial[:, :, None] * harmonics[:, None, :]
        return made.reshape(len(made), radial.shape[1] * harmonics.shape[1])

    def _multiply(
        self, sites: Sites, bonds: Bonds, radial: Floats, harmonics: Floats, rows: Floats
    ) -> None:
        """Add the outputs of sites and of functions of bonds to rows of shape (E, width)."""
        if all(one.is_alone for one in self._couplings):
            self._multiply_alone(sites, bonds, radial, harmonics, rows)
            return
        for lower_atom, weights, groups in self._groups(sites, bonds):
            for atom, element, mine in groups:
                own = self._products(radial[mine], harmonics[mine])
                weight = weights[atom - lower_atom, element].reshape(self._width, own.shape[1])
                rows[mine] += own @ weight.T

    def _multiply_alone(
        self, sites: Sites, bonds: Bonds, radial: Floats, harmonics: Floats, rows: Floats
    ) -> None:
        """The same where all atoms of a species have the same functions: many bonds at once.

        T^{0 l L} is there for l = L alone, so that what is summed over n is turned afterwards.
        """
        starts, ends = bonds.species[bonds.centre], bonds.species[bonds.neighbour]
        for a in np.unique(bonds.species).tolist():
            atom = int(np.flatnonzero(bonds.species == a)[0])
            for b in np.unique(bonds.species).tolist():
                which = np.flatnonzero((starts == a) & (ends == b))
                for first in range(0, len(which), _BONDS):
                    mine = which[first : first + _BONDS]
                    made = [
                        h.reshape(len(mine), h.shape[1] * h.shape[2])
                        for h in self._alone(sites, atom, b, radial[mine], harmonics[mine])
                    ]
                    rows[mine] += np.concatenate(made, axis=1)

    def _alone(
        self, sites: Sites, atom: int, element: int, radial: Floats, harmonics: Floats
    ) -> Iterator[Floats]:
        """Outputs of every coupling, of bonds of the same two species, shape (e, outputs, M)."""
        for one, c, shape in zip(self._couplings, self._given, self._shapes, strict=True):
            made, start = np.zeros((len(radial), *shape)), 0
            for part in one.parts:
                own = c[:, start : start + part.size].reshape(shape[0], *part.shape)[:, :, element]
                start += part.size
                b = sites.values[part.site][atom, part.functions, 0]
                weights = np.tensordot(own, b, ([1], [0]))  # [o, n]
                y = harmonics[:, part.l**2 : (part.l + 1) ** 2] @ part.coupling[0]
                made += (radial[:, : weights.shape[1]] @ weights.T)[:, :, None] * y[:, None, :]
            yield made

    def _groups(
        self, sites: Sites, bonds: Bonds
    ) -> Iterator[tuple[int, Floats, list[tuple[int, int, slice | Ints]]]]:
        """Atoms in blocks: the first one, coefficients with the sites, bonds by neighbour."""
        first, kinds = bonds.first, bonds.species[bonds.neighbour]
        atoms = len(bonds.species)
        for start in range(0, atoms, _ATOMS):
            stop = min(start + _ATOMS, atoms)
            groups: list[tuple[int, int, slice | Ints]] = []
            for atom in range(start, stop):
                low, high = first[atom], first[atom + 1]
                for element in range(len(self._tables.numbers)):
                    if len(self._tables.numbers) == 1:
                        groups.append((atom, 0, slice(low, high)))
                    elif len(mine := low + np.flatnonzero(kinds[low:high] == element)):
                        groups.append((atom, element, mine))
            yield start, self._contracted(sites, slice(start, stop)), groups

    def _contracted(self, sites: Sites, atoms: slice) -> Floats:
        """Σ_k c_okbn Σ_m' T[m', m, M] B_ik^m', shape (atoms, element, width, n, lm)."""
        lm, most = (self._spec.max_l + 1) ** 2, self._spec.most
        count = len(range(*atoms.indices(len(sites.values[0]))))
        made = np.zeros((count, len(self._tables.numbers), self._width, most, lm))
        row = 0
        for one, c, (outputs, dim) in zip(self._couplings, self._given, self._shapes, strict=True):
            mine = made[:, :, row : row + outputs * dim]
            mine = mine.reshape(*mine.shape[:2], outputs, dim, most, lm)
            start = 0
            for part in one.parts:
                k, elements, degree = part.shape
                own = c[:, start : start + part.size].reshape(outputs, k, elements * degree)
                start += part.size
                b = sites.values[part.site][atoms][:, part.functions]  # [i, k, p]
                summed = np.tensordot(own, b, ([1], [1]))  # [o, bn, i, p]
                turned = np.tensordot(summed, part.coupling, 1)  # [o, bn, i, m, x]
                shape = (outputs, elements, degree, count, 2 * part.l + 1, dim)
                turned = turned.reshape(shape)
                place = slice(part.l**2, (part.l + 1) ** 2)
                mine[:, :, :, :, :degree, place] += turned.transpose(3, 1, 0, 5, 2, 4)
            made[:, :, row : row + outputs * dim] = mine.reshape(
                *made.shape[:2], outputs * dim, most, lm
            )
            row += outputs * dim
        return made

    def _to_sites(self, back: Floats, start: int, out: tuple[Floats, ...], bonds: Bonds) -> None:
        """Add adjoints of the contracted coefficients to those of the sites."""
        count, row = len(back), 0
        for one, c, (outputs, dim) in zip(self._couplings, self._given, self._shapes, strict=True):
            mine = back[:, :, row : row + outputs * dim]
            mine = mine.reshape(*mine.shape[:2], outputs, dim, *mine.shape[3:])
            row += outputs * dim
            first = 0
            for part in one.parts:
                k, elements, degree = part.shape
                own = c[:, first : first + part.size].reshape(outputs, k, elements, degree)
                first += part.size
                place = slice(part.l**2, (part.l + 1) ** 2)
                turned = np.tensordot(mine[..., :degree, place], part.coupling, ([3, 5], [2, 1]))
                # [i, b, o, n, p]
                summed = np.tensordot(turned, own, ([1, 2, 3], [2, 0, 3]))  # [i, p, k]
                out[part.site][start : start + count, part.functions] += summed.transpose(0, 2, 1)


def _checked(coupling: BondCoupling, coefficients: Floats) -> Floats:
    given = np.asarray(coefficients, dtype=float)
    if given.ndim != 2 or given.shape[1] != coupling.size or not np.isfinite(given).all():
        raise InputError(
            f"coefficients: expected finite numbers of shape (outputs, {coupling.size}), "
            f"got {given.shape}"
        )
    return given


def _constant(tables: Tables) -> Floats:
    """Which functions of 0e are constant, shape (functions of 0e,)."""
    if SCALAR not in tables.irreps:
        return np.zeros(0, dtype=bool)
    number = tables.irreps.index(SCALAR)
    start = sum(i.dim * n for i, n in zip(tables.irreps[:number], tables.sizes, strict=False))
    found = np.zeros(tables.sizes[number], dtype=bool)
    for products in tables.products:
        empty = (products.factors == len(tables.a_l)).all(axis=1)
        mine = empty[products.term]
        rows = products.function[mine] - start
        found[rows[(rows >= 0) & (rows < len(found))]] = True
    return found


def _centres(tables: Tables, site: int) -> Ints:
    """Species of the central atoms of the functions of an irrep, shape (functions,)."""
    dim = tables.irreps[site].dim
    start = sum(i.dim * n for i, n in zip(tables.irreps[:site], tables.sizes, strict=False))
    found = np.full(tables.sizes[site], -1, dtype=np.int64)
    for species, products in enumerate(tables.products):
        k = (products.function - start) // dim
        found[np.unique(k[(k >= 0) & (k < len(found))])] = species
    return found


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
        threads: as of `NativeEvaluator`.
    """

    def __init__(self, model: BondModel, threads: int | None = None) -> None:
        self.model = model
        self.sites = NativeEvaluator(lower(model.basis), threads)
        couplings = [BondCoupling(self.sites.tables, model.bonds, i) for i in model.irreps]
        coefficients = [c.reshape(-1, c.shape[2]) for c in model.coefficients]
        self.readout = BondReadout(couplings, coefficients)

    def values(self, structures: Sequence[Structure]) -> list[BondValues]:
        """h_ijo of every directed bond; what is wrong with one structure does not stop others."""

        def compute(_number: int, structure: Structure) -> BondValues:
            (sites,) = require(self.sites.values([structure]))
            bonds = bonds_of(structure, self.sites.tables, self.model.bonds)
            return BondValues(bonds, tuple(self.readout.outputs(sites, bonds)))

        return each(structures, compute, lambda _s, error: BondValues(None, (), error))
