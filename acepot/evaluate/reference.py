"""The oracle: ACE in numpy, step by step as the papers write it.

R_c(r), Y_lm(r̂) -> A_v = Σ_j R Y -> Π A -> E_i, and back: dE/dA -> dE_i/dr_j. It is
vectorised over blocks of atoms but takes no short cut that another evaluator would have to
share. A change here needs a change in docs/conventions.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.embedding import embed
from acepot.basis.harmonics import real_harmonics
from acepot.basis.jet import Jet
from acepot.basis.pace_radial import inner_switch
from acepot.errors import InputError
from acepot.evaluate.nearness import refuse_closer
from acepot.evaluate.protocol import Committee, Floats, Quantity, Result, Rows
from acepot.neighbours import Edges, build
from acepot.structure import Structure
from acepot.tables import Products, RadialTable, Tables

Ints = NDArray[np.int64]

#: Numbers (of 8 bytes) that the largest array of one block of atoms may hold: larger blocks
#: leave the caches, smaller ones spend their time in the interpreter (both measured).
_BLOCK, _ROW_BLOCK = 250_000, 2_000_000
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True, eq=False)
class _Block:
    """Some atoms of one species with their neighbours, padded to the largest number J.

    Shapes: atoms (a,), neighbour/species (a, J), mask (a, J), vector and unit (a, J, 3),
    distance (a, J; infinite where there is no neighbour), radial and
    its derivative (a, J, C), harmonics (a, J, LM) and their gradient in 1/Å (a, J, LM, 3).
    """

    atoms: Ints
    neighbour: Ints
    species: Ints
    mask: NDArray[np.bool_]
    vector: Floats
    unit: Floats
    distance: Floats
    radial: Floats
    radial_slope: Floats
    harmonics: Floats
    gradient: Floats


class ReferenceEvaluator:
    """Evaluates Tables in numpy.

    Args:
        tables: a lowered model.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._lmax = int(tables.a_l.max(initial=0))
        self._channels = sum(t.coefficients.shape[-1] for t in tables.radial)
        self._groups = _matching_blocks(tables)
        self._unitary = _Unitary(tables)
        rows = tables.functions * (2 * tables.total_l + 1)
        self._sites = [_Site(p, rows, self._unitary) for p in tables.products]

    # ------------------------------------------------------------------ the contract

    def evaluate(self, species: Ints, edges: Edges, *, committee: bool = False) -> Result:
        """Energies, forces and virials.

        Args:
            species: species index of every atom, shape (n,).
            edges: full neighbour list; pairs beyond the cut-off contribute nothing.
            committee: also evaluate the members of the committee.

        Returns:
            Result in eV and eV/Å.

        Raises:
            InputError: two atoms are closer than the tables begin.
        """
        if not self.tables.is_scalar:
            raise InputError("evaluate: only true scalars have an energy; use site_basis")
        count = len(species)
        outputs = self.tables.outputs if committee else 1
        energies = np.zeros((outputs, count))
        forces = np.zeros((outputs, count, 3))
        virials = np.zeros((outputs, count, 3, 3))
        energies += self.tables.e0[species]
        for s, block in self._blocks(species, edges):
            site = self._sites[s]
            a = self._unitary.to_complex(self._one_particle(block))  # [v, a]
            product, partial = site.products(a)
            for out in range(outputs):
                density = site.weights[out] @ product.real  # [p, a]
                energy, slope, core_pull = self._embed(s, block, density)
                energies[out, block.atoms] += energy
                adjoint = site.adjoint(out, partial, slope)  # dE/dA_v, [v, a]
                pull = self._pull(block, adjoint) + core_pull  # dE_i/dr_j, [a, j, 3]
                np.add.at(forces[out], block.neighbour, -pull)
                forces[out, block.atoms] += pull.sum(axis=1)
                virials[out, block.atoms] -= np.einsum("ajx,ajy->axy", block.vector, pull)
        members = None
        if committee:
            members = Committee(energies[1:].sum(axis=1), forces[1:], virials[1:].sum(axis=1))
        return Result(energies[0], forces[0], virials[0], members)

    def evaluate_all(
        self, structures: Sequence[Structure], species: Sequence[Ints], *, committee: bool = False
    ) -> list[Result]:
        """Several structures, neighbour lists included (see `evaluate`)."""
        cutoff = float(self.tables.cutoff.max())
        return [
            self.evaluate(z, build(s, cutoff), committee=committee)
            for s, z in zip(structures, species, strict=True)
        ]

    def rows(self, species: Ints, edges: Edges) -> Rows:
        """Design-matrix rows.

        Args:
            species: species index of every atom, shape (n,).
            edges: full neighbour list.

        Returns:
            Rows with rows @ coefficients = evaluate, less E0.
        """
        if self.tables.embeddings is not None:
            raise InputError("rows: a nonlinear model has no design matrix")
        if not self.tables.is_scalar:
            raise InputError("rows: only true scalars have an energy; use site_basis")
        count, functions = len(species), self.tables.functions
        energy = np.zeros(functions)
        forces = np.zeros((functions, 3, count))
        virial = np.zeros((functions, 6))
        for s, block in self._blocks(species, edges, rows=True):
            site = self._sites[s]
            product, partial = site.products(self._unitary.to_complex(self._one_particle(block)))
            energy += (site.real @ product.real).sum(axis=1)
            touched, columns = self._moves(block)
            atoms, size = columns.shape[:2]
            part = site.jacobian(partial, size) @ columns.reshape(atoms * size, -1)
            forces[:, :, touched] -= part[:, :-6].reshape(functions, 3, -1)
            virial -= part[:, -6:]
        return Rows(energy, forces.transpose(2, 1, 0).reshape(-1, functions), virial.T)

    def fill(
        self, structure: Structure, species: Ints, quantities: Sequence[Quantity], out: Floats
    ) -> None:
        """Write the rows of one structure, neighbour list included (see `RowBuilder`)."""
        made = self.rows(species, build(structure, float(self.tables.cutoff.max())))
        parts = {"energy": made.energy[None], "forces": made.forces, "virial": made.virial}
        out[:] = np.concatenate([parts[quantity] for quantity in quantities])

    def site_basis(self, species: Ints, edges: Edges) -> Floats:
        """Every basis function on every atom.

        Args:
            species: species index of every atom, shape (n,).
            edges: full neighbour list.

        Returns:
            B_k of each site in components M = -L … L (real harmonics), shape (n, K, 2L+1).
        """
        width = 2 * self.tables.total_l + 1
        out = np.zeros((len(species), self.tables.functions, width))
        for s, block in self._blocks(species, edges):
            site = self._sites[s]
            product, _ = site.products(self._unitary.to_complex(self._one_particle(block)))
            values = site.real @ product.real - site.imaginary @ product.imag
            out[block.atoms] = values.T.reshape(len(block.atoms), -1, width)
        return out

    # ------------------------------------------------------------------ embedding

    def _embed(
        self, s: int, block: _Block, density: Floats
    ) -> tuple[Floats, Floats | None, Floats]:
        """E_i - E0 from the densities, dE_i/dρ_p, and what the core adds to dE_i/dr_j.

        Linear models: E = ρ. Otherwise E = F f + ρ_core, f switching F off where the core
        density is large, or (zbl) E = F f + (1 - f) ρ_core, f depending on the nearest
        neighbour.

        Args:
            s: species of the atoms.
            block: the atoms.
            density: ρ_p, shape (P, a).

        Returns:
            Shapes (a,), (P, a) or None for ones, (a, J, 3).
        """
        how = self.tables.embeddings
        none = np.zeros(block.vector.shape)
        if how is None:
            return density[0], None, none
        terms = [
            [w * part for part in embed(bool(how.shifted[s]), float(m), rho)]
            for w, m, rho in zip(how.weight[s], how.exponent[s], density, strict=True)
        ]
        f_value = np.sum([t[0] for t in terms], axis=0)
        f_slope = np.array([t[1] for t in terms])
        if self.tables.core is None:
            return f_value, f_slope, none
        core, core_slope = np.zeros((2, *block.mask.shape))
        for z in np.unique(block.species):
            pair = block.species == z
            value, slope = _interpolate(self.tables.core, s, int(z), block.distance[pair])
            core[pair], core_slope[pair] = value[:, 0], slope[:, 0]
        total = core.sum(axis=1)
        if how.mode == 2:
            return self._zbl(how.inner[s], block, f_value, f_slope, total, core_slope)
        limit = Jet.variable(total)
        switch = inner_switch(limit, float(how.core_limit[s]), float(how.core_width[s]))
        weight = 1.0 + f_value * switch.first
        pull = (weight[:, None] * core_slope)[..., None] * block.unit
        return f_value * switch.value + total, f_slope * switch.value, pull

    @staticmethod
    def _zbl(
        inner: Floats,
        block: _Block,
        f_value: Floats,
        f_slope: Floats,
        core: Floats,
        core_slope: Floats,
    ) -> tuple[Floats, Floats, Floats]:
        """E = F f + (1 - f) ρ_core, f = P(δ - d; δ, δ), d = min_j (r_j - (r_in - δ))."""
        bound, width = inner[block.species].transpose(2, 0, 1)  # [a, j]
        gap = np.where(block.mask, block.distance - bound, np.inf)
        nearest = gap.argmin(axis=1)
        row = np.arange(len(nearest))
        delta = width[row, nearest]
        switch, slope = np.ones_like(core), np.zeros_like(core)
        for i in np.flatnonzero(np.isfinite(gap[row, nearest])):
            away = Jet.variable(np.array([delta[i] - gap[i, nearest[i]]]))
            jet = inner_switch(away, float(delta[i]), float(delta[i]))
            switch[i], slope[i] = jet.value[0], -jet.first[0]
        pull = ((1.0 - switch)[:, None] * core_slope)[..., None] * block.unit
        along = (f_value - core) * slope
        pull[row, nearest] += along[:, None] * block.unit[row, nearest]
        return f_value * switch + core * (1.0 - switch), f_slope * switch, pull

    # ------------------------------------------------------------------ geometry

    def _blocks(
        self, species: Ints, edges: Edges, rows: bool = False
    ) -> Iterator[tuple[int, _Block]]:
        """Atoms in blocks of one species, sized so that arrays stay in memory."""
        neighbours = np.diff(edges.first)
        if len(edges.first) != len(species) + 1:
            raise InputError(
                f"edges: expected a list for {len(species)} atoms, got {len(edges.first) - 1}"
            )
        refuse_closer(self.tables, species, edges)
        for s in range(len(self.tables.numbers)):
            atoms = np.flatnonzero(species == s)
            if len(atoms) == 0:
                continue
            widest = max(int(neighbours[atoms].max()), 1)
            one = widest * max(4 * (self._lmax + 1) ** 2, 8 * self._channels)
            if rows:
                one = 3 * len(self.tables.a_l) * max(widest, len(species))
            step = max(1, min(len(atoms), (_ROW_BLOCK if rows else _BLOCK) // one))
            for begin in range(0, len(atoms), step):
                yield s, self._block(s, atoms[begin : begin + step], species, edges)

    def _block(self, s: int, atoms: Ints, species: Ints, edges: Edges) -> _Block:
        count = edges.first[atoms + 1] - edges.first[atoms]
        slot = np.arange(max(int(count.max()), 1))
        mask = slot < count[:, None]
        edge = np.where(mask, edges.first[atoms, None] + slot, 0)
        if len(edges.vector):
            neighbour, vector = edges.neighbour[edge], edges.vector[edge]
        else:
            neighbour, vector = np.zeros_like(edge), np.zeros((*edge.shape, 3))
        neighbour = np.where(mask, neighbour, atoms[:, None])
        vector = np.where(mask[..., None], vector, 0.0)
        distance = np.where(mask, np.linalg.norm(vector, axis=-1), np.inf)
        if not np.isfinite(vector).all():
            raise InputError("edges: expected finite vectors")
        unit = np.where(mask[..., None], vector, (0.0, 0.0, 1.0))
        unit = unit / np.where(mask, distance, 1.0)[..., None]
        other = species[neighbour]
        radial, slope = self._radial(s, other, distance)
        harmonics, gradient = real_harmonics(unit.reshape(-1, 3), self._lmax)
        harmonics = harmonics.reshape(*mask.shape, -1)
        gradient = gradient.reshape(*mask.shape, -1, 3)
        along = np.einsum("ajyx,ajx->ajy", gradient, unit)
        gradient -= along[..., None] * unit[:, :, None, :]
        gradient /= distance[..., None, None]
        return _Block(
            atoms,
            neighbour,
            other,
            mask,
            vector,
            unit,
            distance,
            radial,
            slope,
            harmonics,
            gradient,
        )

    def _radial(self, s: int, other: Ints, distance: Floats) -> tuple[Floats, Floats]:
        """R_c(r) and dR_c/dr of every pair, shape (a, J, C)."""
        values = np.zeros((*distance.shape, self._channels))
        slopes = np.zeros_like(values)
        start = 0
        for table in self.tables.radial:
            stop = start + table.coefficients.shape[-1]
            for z in np.unique(other):
                pair = other == z
                r = distance[pair]
                value, slope = _interpolate(table, s, int(z), r)
                values[pair, start:stop], slopes[pair, start:stop] = value, slope
            start = stop
        return values, slopes

    # ------------------------------------------------------------------ A and its derivative

    def _one_particle(self, block: _Block) -> Floats:
        """A_v = Σ_j R Y with real harmonics, shape (A, a)."""
        out = np.empty((len(self.tables.a_l), len(block.atoms)))
        for group in self._groups:
            radial = block.radial[..., group.channels] * (block.species == group.species)[..., None]
            a = radial.transpose(0, 2, 1) @ block.harmonics[..., group.lm]  # [a, c, m]
            out[group.members] = a.reshape(len(a), -1).T
        return out

    def _slopes(self, block: _Block) -> Floats:
        """dA_v/dr_j, shape (a, A, 3, J)."""
        atoms, width = block.mask.shape
        out = np.empty((atoms, len(self.tables.a_l), 3, width))
        unit = block.unit.transpose(0, 2, 1)[:, None, None]  # [a, 1, 1, 3, j]
        for group in self._groups:
            same = (block.species == group.species)[..., None]
            radial = (block.radial[..., group.channels] * same).transpose(0, 2, 1)
            slope = (block.radial_slope[..., group.channels] * same).transpose(0, 2, 1)
            harmonics = block.harmonics[..., group.lm].transpose(0, 2, 1)[:, None]  # [a, 1, m, j]
            gradient = block.gradient[..., group.lm, :].transpose(0, 2, 3, 1)[:, None]
            shape = (atoms, radial.shape[1], harmonics.shape[2], 3, width)
            part = (slope[:, :, None] * harmonics)[:, :, :, None] * unit
            part += radial[:, :, None, None] * gradient
            out[:, group.members] = part.reshape(atoms, shape[1] * shape[2], 3, width)
        return out

    def _moves(self, block: _Block) -> tuple[Ints, Floats]:
        """How A responds to the atoms and to strain.

        Returns:
            The atoms touched, shape (t,), and for every atom of the block dA_v over their x,
            y and z displacements and over the six strains (xx yy zz yz xz xy), shape
            (a, A, 3 t + 6).
        """
        slopes = self._slopes(block)
        members = np.concatenate((block.atoms[:, None], block.neighbour), axis=1)
        touched, local = np.unique(members, return_inverse=True)
        local = local.reshape(members.shape)
        columns = np.zeros((*slopes.shape[:2], 3 * len(touched) + 6))
        for i, (centre, *_) in enumerate(local):
            # Images of one neighbour follow each other: sum them, then put each atom in place.
            count = int(block.mask[i].sum())
            if count:
                neighbours = local[i, 1 : count + 1]
                begins = np.flatnonzero(np.diff(neighbours, prepend=-1))
                slope = slopes[i, :, :, :count]
                moved = columns[i, :, :-6].reshape(len(slope), 3, -1)
                each = slope if len(begins) == count else np.add.reduceat(slope, begins, axis=2)
                moved[:, :, neighbours[begins]] = each
                moved[:, :, centre] -= slope.sum(axis=2)
        for k, (x, y) in enumerate(_VOIGT):
            columns[..., k - 6] = np.einsum("aj,avj->av", block.vector[..., x], slopes[:, :, y])
        return touched, columns

    def _pull(self, block: _Block, adjoint: Floats) -> Floats:
        """dE_i/dr_j = Σ_v dE/dA_v dA_v/dr_j, shape (a, J, 3)."""
        out = np.zeros(block.vector.shape)
        for group in self._groups:
            same = block.species == group.species
            weight = adjoint[group.members].T.reshape(
                len(block.atoms), len(group.channels), -1
            )  # [a, c, m]
            harmonics = block.harmonics[..., group.lm]  # [a, j, m]
            stretch = (harmonics @ weight.transpose(0, 2, 1)) * block.radial_slope[
                ..., group.channels
            ]
            turn = block.radial[..., group.channels] @ weight  # [a, j, m]
            part = stretch.sum(axis=-1)[..., None] * block.unit
            part += (turn[..., None] * block.gradient[..., group.lm, :]).sum(axis=2)
            out += part * same[..., None]
        return out


@dataclass(frozen=True, eq=False)
class _Group:
    """One-particle functions of one neighbour species and one l: a contiguous range."""

    species: int
    lm: slice
    channels: Ints
    members: slice


def _matching_blocks(tables: Tables) -> list[_Group]:
    """The ranges in which A is one matrix product of radials and harmonics."""
    groups = []
    key = tables.a_species.astype(np.int64) * 1000 + tables.a_l
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    for begin, end in zip(starts, [*starts, len(key)][1:], strict=True):
        l = int(tables.a_l[begin])  # noqa: E741
        groups.append(
            _Group(
                int(tables.a_species[begin]),
                slice(l * l, (l + 1) ** 2),
                tables.a_channel[begin : end : 2 * l + 1].astype(np.int64),
                slice(int(begin), int(end)),
            )
        )
    return groups


def _interpolate(table: RadialTable, s: int, z: int, r: Floats) -> tuple[Floats, Floats]:
    """Values and slopes of all channels at distances r, shape (len(r), C)."""
    inside = (r >= table.begin[s, z]) & (r < table.end[s, z])
    t = np.where(inside, (r - table.begin[s, z]) / table.spacing[s, z], 0.0)
    index = np.minimum(t.astype(np.int64), table.bins[s, z] - 1)
    c = table.coefficients[s, z][index]  # [e, 6, channel]
    u = (t - index)[:, None]
    value = c[:, 5]
    slope = np.zeros_like(value)
    for k in range(4, -1, -1):
        slope = slope * u + value
        value = value * u + c[:, k]
    keep = inside[:, None]
    return value * keep, slope * keep / table.spacing[s, z]


class _Unitary:
    """Real A -> complex A, function by function: A^c_v = α_v A_v + β_v A_v', m' = -m."""

    def __init__(self, tables: Tables) -> None:
        m = tables.a_m.astype(np.int64)
        sign = (1.0 - 2.0 * (m % 2)) / np.sqrt(2)
        half = 1 / np.sqrt(2)
        self.partner = np.arange(len(m)) - 2 * m
        self.alpha = np.where(m > 0, sign, np.where(m < 0, -1j * half, 1.0))
        self.beta = np.where(m > 0, 1j * sign, np.where(m < 0, half, 0.0))

    def to_complex(self, a: Floats) -> NDArray[np.complex128]:
        """Complex A with a last row of ones for padded factors, shape (A + 1, a)."""
        out = np.ones((len(a) + 1, a.shape[1]), dtype=complex)
        out[:-1] = self.alpha[:, None] * a + self.beta[:, None] * a[self.partner]
        return out


class _Site:
    """The products of one central species and their adjoints."""

    def __init__(self, products: Products, rows: int, unitary: _Unitary) -> None:
        self.weights = products.weights
        factors = products.factors.astype(np.int64)
        padding = len(unitary.alpha)
        order = (factors < padding).sum(axis=1)
        # Terms are sorted by order; each order is one range with its own number of factors.
        starts = np.flatnonzero(np.diff(order, prepend=0))
        self._ranges = [
            (int(begin), int(end), int(order[begin]))
            for begin, end in zip(starts, [*starts, len(order)][1:], strict=True)
        ]
        self._factors = factors
        slots = []  # (term, factor) of every partial product, in the order `products` makes them
        for begin, end, nu in self._ranges:
            slots += [(np.arange(begin, end), factors[begin:end, t]) for t in range(nu)]
        term = np.concatenate([s[0] for s in slots]) if slots else np.zeros(0, dtype=np.int64)
        factor = np.concatenate([s[1] for s in slots]) if slots else np.zeros(0, dtype=np.int64)
        shape = (rows, len(factors))
        place = (products.function, products.term)
        self.real = csr_array((products.real, place), shape=shape)
        self.imaginary = csr_array((products.imaginary, place), shape=shape)
        self._unitary = unitary
        self._adjoints = [
            [
                _adjoint_map(np.zeros_like(term), factor, w[term].astype(complex), unitary)
                for w in output
            ]
            for output in products.weights
        ]
        # Every coefficient C_kT meets every slot of its term.
        per_term = np.argsort(term, kind="stable")
        bounds = np.searchsorted(term[per_term], np.arange(len(factors) + 1))
        repeat = np.diff(bounds)[products.term]
        entry = np.repeat(np.arange(len(products.term)), repeat)
        within = np.arange(len(entry)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        slot = per_term[bounds[products.term][entry] + within]
        coefficient = products.real + 1j * products.imaginary
        self._jacobian = _adjoint_map(
            products.function.astype(np.int64)[entry],
            factor[slot],
            coefficient[entry],
            unitary,
            slot,
            len(term),
        )

    def products(
        self, a: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Π_t A_{v_t}, shape (T, a), and for every slot the product of the other factors."""
        values = np.empty((len(self._factors), a.shape[1]), dtype=complex)
        partial = []
        for begin, end, nu in self._ranges:
            factors = [a[self._factors[begin:end, t]] for t in range(nu)]
            before = [np.ones_like(factors[0])]
            for f in factors[:-1]:
                before.append(before[-1] * f)
            values[begin:end] = before[-1] * factors[-1]
            after = np.ones_like(factors[0])
            others = []
            for t in range(nu - 1, -1, -1):
                others.append(before[t] * after)
                after = after * factors[t]
            partial += others[::-1]
        if not partial:
            return values, np.zeros((0, a.shape[1]), dtype=complex)
        return values, np.concatenate(partial)

    def adjoint(self, output: int, partial: NDArray[np.complex128], slope: Floats | None) -> Floats:
        """dE/dA_v of one output with respect to the real A, shape (A, a).

        Args:
            output: 0 for the model, 1 … for the committee.
            partial: of `products`.
            slope: dE/dρ_p, shape (P, a); None for ones.
        """
        both = np.concatenate((partial.real, partial.imag))
        out = np.zeros((len(self._unitary.alpha), partial.shape[1]))
        for p, (indices, matrix) in enumerate(self._adjoints[output]):
            each = matrix @ both
            out[indices[1]] += each if slope is None else each * slope[p]
        return out

    def jacobian(self, partial: NDArray[np.complex128], size: int) -> csr_array:
        """dB_k/dA_v of all atoms side by side, shape (K, a A)."""
        (function, factor), matrix = self._jacobian
        data = matrix @ np.concatenate((partial.real, partial.imag))  # [(k, v), a]
        atoms = partial.shape[1]
        column = factor[:, None] + size * np.arange(atoms)
        functions = self.real.shape[0]
        pointer = np.searchsorted(function, np.arange(functions + 1)) * atoms
        return csr_array((data.ravel(), column.ravel(), pointer), shape=(functions, size * atoms))


def _adjoint_map(
    function: Ints,
    factor: Ints,
    coefficient: NDArray[np.complex128],
    unitary: _Unitary,
    slot: Ints | None = None,
    slots: int | None = None,
) -> tuple[Ints, csr_array]:
    """The real matrix that takes [Re; Im] of the partial products to d(function)/dA_v.

    With B = Re Σ c Π A and A^c_v = α A_v + β A_v', one slot adds Re(c α P) to dB/dA_v and
    Re(c β P) to dB/dA_v'.

    Returns:
        The pairs (function, v) that can be non-zero, shape (2, pairs), and the matrix of
        shape (pairs, 2 slots).
    """
    slot = np.arange(len(factor)) if slot is None else slot
    slots = len(factor) if slots is None else slots
    own, other = coefficient * unitary.alpha[factor], coefficient * unitary.beta[factor]
    value = np.concatenate((own.real, -own.imag, other.real, -other.imag))
    target = np.concatenate((factor, factor, unitary.partner[factor], unitary.partner[factor]))
    key = np.tile(function, 4) * len(unitary.alpha) + target
    source = np.concatenate((slot, slot + slots, slot, slot + slots))
    kept = value != 0.0
    unique, row = np.unique(key[kept], return_inverse=True)
    matrix = csr_array((value[kept], (row, source[kept])), shape=(len(unique), 2 * slots))
    return np.array(np.divmod(unique, len(unitary.alpha))), matrix
