"""fit_hamiltonian: coefficients of all blocks, from matrices that a program has computed.

Every (L, parity) of the blocks of two elements is linear in its functions, and blocks of several
pairs of shells share them: their rows are compressed and factorised once. Blocks between different
shells have coefficients for both ends of the bond, [F(i→j), ± F(j→i)]; those of a shell with
itself, between atoms of one element, have F(i→j) ± F(j→i), and half of the bonds suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from acepot.basis.bond import BondSpec
from acepot.basis.irrep import Irrep
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.bond_coupling import BondCoupling
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, Ints, require
from acepot.fitting.problem import Accumulator
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import BLR, Solver
from acepot.hamiltonian.families import (
    Seen,
    bond_problem,
    families,
    having,
    parts_of,
    places,
    roughness,
    site_roughness,
)
from acepot.hamiltonian.matrices import OrbitalMatrix, Snapshot
from acepot.hamiltonian.settings import HamiltonianSettings, functions
from acepot.hamiltonian.solving import members_of, solve_all
from acepot.lowering import lower
from acepot.model import BondModel, HamiltonianModel, TensorModel
from acepot.orbitals import Orbitals
from acepot.schema import to_mapping

__all__ = ["HamiltonianFit", "fit_hamiltonian"]

#: Smallest deviation of noise and prior of overlaps, which two-centre functions give exactly.
_EXACT = 1e-9

#: Told what is being done, and how much of all is done, from 0 to 1.
Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class HamiltonianFit:
    """What `fit_hamiltonian` returns.

    Args:
        model: the fitted Hamiltonian.
        solutions: of every block family, by matrix, elements, shells and (L, parity).
    """

    model: HamiltonianModel
    solutions: dict[str, Solution] = field(default_factory=dict)


def fit_hamiltonian(
    snapshots: Sequence[Snapshot],
    settings: HamiltonianSettings | None = None,
    *,
    electrons: dict[str, float] | None = None,
    progress: Progress | None = None,
) -> HamiltonianFit:
    """Fit H and S in atomic orbitals.

    Args:
        snapshots: matrices of one or more structures, all with the same orbitals.
        settings: functions and solver; None: defaults, with cut-offs from the data.
        electrons: valence electrons of every element, by symbol; None: from the snapshots where
            these tell.
        progress: told what is done.

    Raises:
        InputError: snapshots that do not go together, or settings that are impossible.
    """
    settings = settings or HamiltonianSettings()
    orbitals = _common_orbitals(snapshots)
    reach = [_reach([s.hamiltonian for s in snapshots])]
    overlaps = [s.overlap for s in snapshots if s.overlap is not None]
    if overlaps and len(overlaps) < len(snapshots):
        raise InputError("snapshots: expected an overlap with all of them, or with none")
    reach.append(_reach(overlaps) if overlaps else dict(reach[0]))
    chosen = functions(settings, orbitals, *reach)
    fitter = _Fitter(snapshots, orbitals, settings, progress or (lambda _what, _part: None))
    onsite = fitter.onsite(chosen.onsite)
    hopping = fitter.bonds(
        "H", chosen.hopping, chosen.bonds, chosen.irreps, settings.hopping_solver,
        settings.committee,
    )  # fmt: skip
    overlap = None
    if overlaps:
        exact = BLR(floor=_EXACT)
        overlap = fitter.bonds(
            "S", chosen.alone, chosen.overlap, chosen.overlap_irreps, exact, 0
        )  # fmt: skip
    provenance = {
        "settings": to_mapping(settings),
        "snapshots": len(snapshots),
        "atoms": sum(len(s.structure) for s in snapshots),
    }
    model = HamiltonianModel(
        orbitals, onsite, hopping, overlap, _onsite_overlap(orbitals, overlaps),
        _electrons(orbitals, snapshots, electrons), provenance=provenance,
    )  # fmt: skip
    return HamiltonianFit(model, fitter.solutions)


def _common_orbitals(snapshots: Sequence[Snapshot]) -> Orbitals:
    """The shells of all elements of the snapshots.

    Raises:
        InputError: no snapshot, or two that differ.
    """
    if not snapshots:
        raise InputError("snapshots: expected one or more, got none")
    found: dict[str, str] = {}
    for one in snapshots:
        for symbol, letters in one.orbitals.shells.items():
            if found.setdefault(symbol, letters) != letters:
                raise InputError(
                    f"{one.name or 'snapshots'}: orbitals of {symbol}: expected "
                    f"{found[symbol]} as before, got {letters}"
                )
    return Orbitals(found)


def _reach(matrices: Sequence[OrbitalMatrix]) -> dict[str, float]:
    """The longest block between every two elements in Å.

    Raises:
        InputError: two elements have no bond, in any structure.
    """
    found: dict[tuple[int, int], float] = {}
    numbers = sorted({z for one in matrices for z in one.structure.numbers.tolist()})
    for one in matrices:
        for pair in one.pairs:
            length = np.linalg.norm(one.vectors(pair), axis=1).max(initial=0.0)
            found[pair] = max(found.get(pair, 0.0), float(length))
    both = {}
    for a in numbers:
        for b in numbers:
            longest = max(found.get((a, b), 0.0), found.get((b, a), 0.0))
            if longest == 0:
                raise InputError(
                    f"snapshots: no block between {SYMBOLS[a]} and {SYMBOLS[b]}; add a structure "
                    "in which they are near to each other"
                )
            both[f"{SYMBOLS[a]}-{SYMBOLS[b]}"] = longest
    return both


class _Fitter:
    """Fits models of blocks one after another.

    Args:
        snapshots: the data.
        orbitals: of all of them.
        settings: solvers, members and seed.
        tell: what is done.

    Attributes:
        solutions: of every block family.
    """

    def __init__(
        self,
        snapshots: Sequence[Snapshot],
        orbitals: Orbitals,
        settings: HamiltonianSettings,
        tell: Progress,
    ) -> None:
        self._snapshots, self._orbitals = snapshots, orbitals
        self._settings, self._tell = settings, tell
        self.solutions: dict[str, Solution] = {}

    def onsite(self, basis: BasisSpec) -> TensorModel:
        """Blocks of atoms with themselves."""
        tables, parts = lower(basis), self._orbitals.onsite_parts()
        sites = require(NativeEvaluator(tables).values([s.structure for s in self._snapshots]))
        rough = site_roughness(basis, tables)
        coefficients = []
        for number, irrep in enumerate(tables.irreps):
            self._tell("blocks of atoms", 0.1 * number / len(tables.irreps))
            functions_of = [one.values[number] for one in sites]
            members = 1 + self._settings.committee
            made = np.zeros((members, len(parts[irrep]), tables.sizes[number]))
            for z in self._orbitals.numbers:
                targets = having(parts[irrep], self._orbitals, (z, z), irrep)
                if not targets:
                    continue
                problem, used = self._own_rows(functions_of, z, targets, irrep)
                if not len(used):
                    continue
                solved = solve_all(problem, self._settings.onsite_solver, rough[number][used])
                for (output, one, two), solution in zip(targets, solved, strict=True):
                    self.solutions[f"H {SYMBOLS[z]} {one} {two} {irrep}"] = solution
                    made[:, output, used] = self._members(
                        solution, self._settings.committee, irrep, output, z
                    )
            coefficients.append(made)
        names = tuple(_named(parts[irrep]) for irrep in tables.irreps)
        return TensorModel(basis, tuple(coefficients), names, "eV")

    def _own_rows(
        self,
        functions_of: Sequence[Floats],
        number: int,
        targets: list[tuple[int, int, int]],
        irrep: Irrep,
    ) -> tuple[Accumulator, Ints]:
        """Rows of the atoms of an element, and which functions are theirs."""
        rows, values = [], []
        for snapshot, found in zip(self._snapshots, functions_of, strict=True):
            atoms = np.flatnonzero(snapshot.structure.numbers == number)
            kept = snapshot.fitted[atoms]
            if kept.any():
                rows.append(found[atoms[kept]].transpose(0, 2, 1))
                own = _own_blocks(snapshot.hamiltonian, number, atoms)[kept]
                pair = (number, number)
                values.append(parts_of(own, self._orbitals, pair, targets, irrep))
        if not rows:
            raise InputError(
                f"snapshots: no block of {SYMBOLS[number]} with itself is to be fitted"
            )
        design = np.concatenate(rows)
        design = design.reshape(-1, design.shape[2])
        used = np.flatnonzero(design.any(axis=0))
        problem = Accumulator(max(len(used), 1), len(targets))
        if len(used):
            problem.add(design[:, used], np.concatenate(values).reshape(-1, len(targets)))
        return problem, used

    def bonds(
        self,
        what: str,
        basis: BasisSpec,
        spec: BondSpec,
        irreps: tuple[Irrep, ...],
        solver: Solver,
        committee: int,
    ) -> BondModel:
        """Blocks between atoms, of H or of S."""
        tables, parts = lower(basis), self._orbitals.bond_parts()
        evaluator, rough = NativeEvaluator(tables), site_roughness(basis, tables)
        seen = []
        for snapshot in self._snapshots:
            matrix = snapshot.hamiltonian if what == "H" else snapshot.overlap
            if matrix is not None:
                seen.append(Seen.of(matrix, snapshot.fitted, tables, spec, evaluator))
        coefficients = []
        for number, irrep in enumerate(irreps):
            done = number / len(irreps)
            self._tell(f"bonds of {what}", 0.1 + 0.8 * done if what == "H" else 0.9 + 0.1 * done)
            coupling = BondCoupling(tables, spec, irrep)
            made = np.zeros((1 + committee, len(parts[irrep]), coupling.size))
            for family in families(self._orbitals, parts[irrep], irrep):
                problem = bond_problem(seen, coupling, family, self._orbitals)
                if problem is None:
                    continue
                there, back = places(tables, coupling, family)
                every = roughness(coupling, rough)
                columns = there if family.same else np.concatenate([there, back])
                solved = solve_all(problem, solver, every[columns])
                symbols = "-".join(SYMBOLS[z] for z in family.pair)
                for (output, one, two), solution in zip(family.targets, solved, strict=True):
                    self.solutions[f"{what} {symbols} {one} {two} {irrep}"] = solution
                    drawn = self._members(solution, committee, irrep, output, *family.pair)
                    made[:, output, there] = drawn[:, : len(there)]
                    if not family.same:
                        other = parts[irrep].index((two, one))
                        made[:, other, back] = drawn[:, len(there) :]
            coefficients.append(made)
        names = tuple(_named(parts[irrep]) for irrep in irreps)
        unit = "eV" if what == "H" else ""
        return BondModel(basis, spec, irreps, tuple(coefficients), names, unit)

    def _members(
        self, solution: Solution, committee: int, irrep: Irrep, output: int, *numbers: int
    ) -> Floats:
        """The coefficients, and those drawn from the posterior, shape (members, K)."""
        of = (irrep.l, int(irrep.parity < 0), output, *numbers)
        return members_of(solution, committee, [self._settings.seed, *of])


def _own_blocks(matrix: OrbitalMatrix, number: int, atoms: Ints) -> Floats:
    """Blocks of atoms with themselves, shape (atoms, o, o).

    Raises:
        InputError: one is missing.
    """
    blocks = matrix.pairs.get((number, number))
    own = np.flatnonzero(blocks.onsite) if blocks is not None else np.zeros(0, int)
    if blocks is None or len(own) != len(atoms):
        raise InputError(
            f"{matrix.structure.name or 'snapshot'}: expected a block of every atom of "
            f"{SYMBOLS[number]} with itself, got {len(own)} of {len(atoms)}"
        )
    return np.asarray(blocks.values[own[np.argsort(blocks.index[own, 0])]])


def _onsite_overlap(orbitals: Orbitals, overlaps: Sequence[OrbitalMatrix]) -> dict[str, Floats]:
    """S of an atom with itself, which no neighbour changes."""
    found = {}
    for symbol, z in zip(orbitals.shells, orbitals.numbers, strict=True):
        given = [
            _own_blocks(one, z, np.flatnonzero(one.structure.numbers == z))
            for one in overlaps
            if (one.structure.numbers == z).any()
        ]
        if given:
            mean = np.concatenate(given).mean(axis=0)
            found[symbol] = np.asarray((mean + mean.T) / 2)
        else:
            found[symbol] = np.eye(orbitals.count(z))
    return found


def _electrons(
    orbitals: Orbitals, snapshots: Sequence[Snapshot], given: dict[str, float] | None
) -> dict[str, float]:
    """Valence electrons of every element: as given, or by least squares from the snapshots."""
    if given is not None:
        return {symbol: float(given[symbol]) for symbol in orbitals.shells if symbol in given}
    told = [s for s in snapshots if s.electrons is not None]
    counts = np.array(
        [[np.count_nonzero(s.structure.numbers == z) for z in orbitals.numbers] for s in told]
    ).reshape(len(told), len(orbitals.numbers))
    if not told or np.linalg.matrix_rank(counts) < len(orbitals.numbers):
        return {}
    totals = np.array([s.electrons for s in told], dtype=float)
    found = np.asarray(np.linalg.lstsq(counts, totals, rcond=None)[0], dtype=float)
    if np.abs(counts @ found - totals).max() > 1e-6:
        return {}  # charged cells: electrons are not those of the elements
    rounded: list[float] = np.round(found, 9).tolist()
    return dict(zip(orbitals.shells, rounded, strict=True))


def _named(parts: tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    return tuple(f"{one} {two}" for one, two in parts)
