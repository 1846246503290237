"""What every evaluator promises.

Site outputs are the centre. An evaluator holds Tables, of a model or of a basis, and gives for
every site i of a structure the values of its outputs y_io (of a basis: of its functions B_ik), in
components M = -L … L of each irrep. Everything else is made of four verbs:

    values    y_io = Σ_k c_ok B_ik
    jvp       D y_io, the derivative along displacements of the atoms and a strain
    pullback  -Σ_io a_io ∂y_io/∂r and the virial, for any adjoint a_io = ∂Loss/∂y_io
    rows      Σ_i w_si B_ik and its derivatives: the design matrix

with ⟨a, jvp(u, ε)⟩ = -⟨forces, u⟩ - ⟨virial, ε⟩. A strain takes vectors, written as rows, from r to
r (1 + ε): outputs that are no scalars tell ε from its transpose. The energy of a model is computed
from its outputs, and forces are the pullback of ∂E/∂y.

Evaluators are pure: the same Tables and structures give the same numbers. A structure that cannot
be evaluated does not stop the others: its result says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from acepot.arrays import floats
from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.structure import Structure
from acepot.tables import Tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Quantity = Literal["energy", "forces", "virial"]


# ------------------------------------------------------------------ results


@dataclass(frozen=True, eq=False)
class Sites:
    """Values, or derivatives of values, of every site of one structure.

    Args:
        values: for each irrep of the Tables an array of shape (n, width, 2L + 1), with the widths
            `tables.widths`: outputs, member by member, or functions. No number where `error` is.
        error: why this structure could not be evaluated.
    """

    values: tuple[Floats, ...]
    error: InputError | None = None


@dataclass(frozen=True, eq=False)
class Pullback:
    """What adjoints of site values mean for the atoms of one structure.

    Args:
        forces: -Σ_io a_io ∂y_io/∂r, shape (n, 3), in units of the loss per Å.
        virials: W_i = -Σ_j r_ij ⊗ Σ_o a_io ∂y_io/∂r_ij, shape (n, 3, 3).
        error: why this structure could not be evaluated.
    """

    forces: Floats
    virials: Floats
    error: InputError | None = None

    @property
    def virial(self) -> Floats:
        """Σ_i W_i = -∂Loss/∂ε for r -> r (1 + ε), vectors as rows, shape (3, 3)."""
        return np.asarray(self.virials.sum(axis=0))


@dataclass(frozen=True, eq=False)
class SiteRows:
    """Design rows of sums over sites of one structure, for one irrep.

    Args:
        values: Σ_i w_si B_ik, shape (sums, 2L + 1, K).
        forces: minus their derivative by the positions, shape (sums, 3n, 2L + 1, K), in 1/Å.
        virial: minus their derivative by the strain of r -> r (1 + ε), vectors as rows, shape
            (sums, 3, 3, 2L + 1, K).
    """

    values: Floats
    forces: Floats
    virial: Floats


@dataclass(frozen=True, eq=False)
class StructureRows:
    """Design rows of one structure.

    Args:
        irreps: the rows of each irrep of the Tables.
        error: why this structure could not be evaluated.
    """

    irreps: tuple[SiteRows, ...]
    error: InputError | None = None


@dataclass(frozen=True, eq=False)
class CommitteeResult:
    """Predictions of the M members of a committee.

    Args:
        energies: total energies in eV, shape (M,).
        forces: in eV/Å, shape (M, n, 3).
        virials: in eV, shape (M, 3, 3).
    """

    energies: Floats
    forces: Floats
    virials: Floats


@dataclass(frozen=True, eq=False)
class OutputEnergies:
    """Energies of a model and of the M members of its committee, without their forces.

    Args:
        sites: E_i of the model, then of its members, in eV, shape (1 + M, n).
        error: why this structure could not be evaluated; then all numbers are nan.
    """

    sites: Floats
    error: InputError | None = None

    @property
    def totals(self) -> Floats:
        """Total energies of the model and of its members in eV, shape (1 + M,)."""
        return np.asarray(self.sites.sum(axis=1))


@dataclass(frozen=True, eq=False)
class EnergySpread:
    """How far the energies of a committee are apart, and which way that grows.

    Args:
        value: σ, the root-mean-square deviation of the members' total energies from the model's,
            in eV.
        forces: -dσ/dr in eV/Å, shape (n, 3).
        virial: -dσ/dε in eV, shape (3, 3).
        error: why this structure could not be evaluated; then all numbers are nan.
    """

    value: float
    forces: Floats
    virial: Floats
    error: InputError | None = None


def spread_weights(totals: Floats) -> tuple[float, Floats]:
    """σ of total energies (1 + M,), the model's first, and its derivatives by each of them.

    Where all members agree the derivatives, which do not exist there, are zero.
    """
    away = totals[1:] - totals[0]
    value = float(np.sqrt(np.mean(away**2)))
    slopes = away / (len(away) * value) if value > 0 else np.zeros(len(away))
    return value, np.concatenate(([-slopes.sum()], slopes))


@dataclass(frozen=True, eq=False)
class Result:
    """What a model says about one structure.

    Args:
        energies: E_i in eV, shape (n,); their sum is the energy.
        forces: -dE/dr in eV/Å, shape (n, 3).
        virials: per-atom W_i = -Σ_j r_ij ⊗ dE_i/dr_ij in eV, shape (n, 3, 3).
        committee: the members' predictions, if asked for.
        error: why this structure could not be evaluated; then all numbers are nan.
    """

    energies: Floats
    forces: Floats
    virials: Floats
    committee: CommitteeResult | None = None
    error: InputError | None = None

    @property
    def energy(self) -> float:
        """Total energy in eV."""
        return float(self.energies.sum())

    @property
    def virial(self) -> Floats:
        """W = -dE/dε in eV, shape (3, 3)."""
        return np.asarray(np.einsum("nab->ab", self.virials))  # 4 times as fast as sum(axis=0)


class Totals(NamedTuple):
    """What dynamics need of one structure.

    Args:
        energies: E_i in eV, shape (n,).
        forces: -dE/dr in eV/Å, shape (n, 3).
        virial: W = -dE/dε in eV, shape (3, 3).
    """

    energies: Floats
    forces: Floats
    virial: Floats

    @property
    def energy(self) -> float:
        """Total energy in eV."""
        return float(self.energies.sum())


class ManyTotals(NamedTuple):
    """What samplers need of S structures with N atoms together, one after another.

    Args:
        energy: total energies in eV, shape (S,).
        energies: E_i in eV, shape (N,).
        forces: -dE/dr in eV/Å, shape (N, 3).
        virials: W = -dE/dε of each structure in eV, shape (S, 3, 3).
        errors: what is wrong with those structures that could not be evaluated, by their number;
            their results are nan.
    """

    energy: Floats
    energies: Floats
    forces: Floats
    virials: Floats
    errors: Mapping[int, InputError]

    @classmethod
    def empty(cls, structures: int, atoms: int) -> ManyTotals:
        """Arrays for the results of so many structures and atoms, with any numbers in them."""
        return cls(
            np.empty(structures), np.empty(atoms), np.empty((atoms, 3)),
            np.empty((structures, 3, 3)), {},
        )  # fmt: skip


class _HasError(Protocol):
    @property
    def error(self) -> InputError | None: ...


#: Numbers of results are below it, so that sums over 1e8 atoms are finite.
_LARGEST = 7e299

R = TypeVar("R", bound=_HasError)


def require(results: Sequence[R]) -> Sequence[R]:
    """The same results, all of them sound.

    Raises:
        InputError: what is wrong with the first structure that could not be evaluated.
    """
    for result in results:
        if result.error is not None:
            raise result.error
    return results


# ------------------------------------------------------------------ structures


def species_of(tables: Tables, structure: Structure) -> Ints:
    """Species index of every atom, shape (n,).

    Raises:
        InputError: an element that the Tables do not have.
    """
    return species_indices(tuple(tables.numbers.tolist()), structure.numbers)


def each(
    structures: Iterable[Structure],
    compute: Callable[[int, Structure], R],
    failed: Callable[[Structure, InputError], R],
) -> list[R]:
    """The results of structures one by one; what is wrong with one does not stop the others.

    Args:
        structures: atoms and cells.
        compute: the result of a structure, given its number.
        failed: the result that says what is wrong.
    """
    results = []
    several = list(structures)
    for number, structure in enumerate(several):
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said below
                result = compute(number, structure)
            if not is_finite(result):
                raise InputError("its numbers are not finite; check coefficients and positions")
            results.append(result)
        except InputError as error:
            which = number if len(several) > 1 else None
            results.append(failed(structure, named(structure, error, which)))
    return results


def is_finite(item: object) -> bool:
    """Whether all numbers of a result, an array or a tuple, and their sums, are finite."""
    if isinstance(item, np.ndarray):
        return bool((np.abs(item) < _LARGEST).all())
    parts = item if isinstance(item, tuple) else getattr(item, "__dict__", {}).values()
    return all(is_finite(part) for part in parts)


def named(structure: Structure, error: Exception, number: int | None = None) -> InputError:
    """An error that names its structure.

    Args:
        structure: which.
        error: what is wrong with it.
        number: among several, for those without a name; None: it is the only one.
    """
    name = structure.name or ("" if number is None else f"structure {number}")
    text = str(error)
    if name and name not in text:
        text = f"{name}: {text}"
    return InputError(text)


def no_sites(tables: Tables, structure: Structure, error: InputError) -> Sites:
    """Sites of a structure that could not be evaluated."""
    n = len(structure)
    shapes = [(n, w, i.dim) for w, i in zip(tables.widths, tables.irreps, strict=True)]
    return Sites(tuple(np.full(shape, np.nan) for shape in shapes), error)


def no_pullback(structure: Structure, error: InputError) -> Pullback:
    """The pullback of a structure that could not be evaluated."""
    n = len(structure)
    return Pullback(np.full((n, 3), np.nan), np.full((n, 3, 3), np.nan), error)


def no_result(structure: Structure, error: InputError, members: int | None = None) -> Result:
    """The result of a structure that could not be evaluated.

    Args:
        structure: which.
        error: why.
        members: of the committee, if it was asked for.
    """
    n = len(structure)
    committee = None
    if members is not None:
        shapes = ((members,), (members, n, 3), (members, 3, 3))
        committee = CommitteeResult(*(np.full(shape, np.nan) for shape in shapes))
    forces, virials = np.full((n, 3), np.nan), np.full((n, 3, 3), np.nan)
    return Result(np.full(n, np.nan), forces, virials, committee, error)


def adjoint_sites(tables: Tables, structure: Structure, adjoint: Sequence[Floats]) -> Floats:
    """Adjoints of the site values of one structure as one array, shape (n, rows).

    Rows run over irreps, in each over outputs (or functions), in each over M = -L … L.

    Args:
        tables: whose values they are adjoint to.
        structure: its atoms.
        adjoint: for each irrep, shape (n, width, 2L + 1).

    Raises:
        InputError: other shapes, or numbers that are not finite.
    """
    n = len(structure)
    shapes = [(n, w, i.dim) for w, i in zip(tables.widths, tables.irreps, strict=True)]
    arrays = [_numbers("adjoint", a) for a in adjoint]
    if [a.shape for a in arrays] != shapes or not all(np.isfinite(a).all() for a in arrays):
        raise InputError(
            f"adjoint: expected finite numbers of shapes {shapes}, got {[a.shape for a in arrays]}"
        )
    parts = [a.reshape(n, a.shape[1] * a.shape[2]) for a in arrays]
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))


def adjoint_rows(tables: Tables, structure: Structure, adjoint: Sequence[Floats]) -> Floats:
    """As `adjoint_sites`, shape (rows, n)."""
    return np.asarray(adjoint_sites(tables, structure, adjoint).T)


def _numbers(name: str, value: Any) -> Floats:
    """An array of numbers.

    Raises:
        InputError: something else.
    """
    return value if type(value) is np.ndarray and value.dtype == float else floats(name, value)


def strains_of(
    structures: Sequence[Structure],
    displacements: Sequence[Floats | None],
    strains: Sequence[Floats | None] | None,
) -> Sequence[Floats | None]:
    """The strain of each structure of a call of `jvp`, None where there is none.

    Raises:
        InputError: other numbers of displacements or strains than of structures.
    """
    found = [None] * len(structures) if strains is None else strains
    if not len(structures) == len(displacements) == len(found):
        raise InputError("jvp: expected one displacement and one strain for each structure")
    return found


def displacement_of(
    structure: Structure, displacement: Floats | None, strain: Floats | None
) -> tuple[Floats, Floats]:
    """Displacements and strain of one structure, checked; None stands for none.

    Args:
        structure: its atoms.
        displacement: of the atoms in Å, shape (n, 3).
        strain: ε of r -> r (1 + ε), vectors as rows, shape (3, 3).

    Raises:
        InputError: other shapes, or numbers that are not finite.
    """
    made = []
    for name, value, shape in (
        ("displacement", displacement, (len(structure), 3)),
        ("strain", strain, (3, 3)),
    ):
        array = np.zeros(shape) if value is None else _numbers(name, value)
        if array.shape != shape or not np.isfinite(array).all():
            raise InputError(f"{name}: expected finite numbers of shape {shape}, got {array.shape}")
        made.append(array)
    return made[0], made[1]


def site_weights(structure: Structure, weights: Floats | None) -> Floats:
    """Weights of sites in sums, shape (sums, n); None: one sum over all with weight 1.

    Raises:
        InputError: another shape, or numbers that are not finite.
    """
    n = len(structure)
    array = np.ones((1, n)) if weights is None else _numbers("weights", weights)
    if array.ndim != 2 or array.shape[1] != n or not np.isfinite(array).all():
        raise InputError(
            f"weights: expected finite numbers of shape (sums, {n}), got {array.shape}"
        )
    return array


# ------------------------------------------------------------------ contracts


class SiteEvaluator(Protocol):
    """The four verbs, for models and bases, scalars and tensors of any L and parity."""

    @property
    def tables(self) -> Tables:
        """What is evaluated."""
        ...

    def values(self, structures: Sequence[Structure]) -> list[Sites]:
        """y_io (of a basis B_ik) of every site."""
        ...

    def jvp(
        self,
        structures: Sequence[Structure],
        displacements: Sequence[Floats | None],
        strains: Sequence[Floats | None] | None = None,
    ) -> list[Sites]:
        """Derivatives of the values: D y = Σ_j (u_j - u_i + r_ij ε) · ∂y_i/∂r_ij.

        Args:
            structures: atoms and cells.
            displacements: u of each structure in Å, shape (n, 3); None: at rest.
            strains: ε of each, shape (3, 3), with r -> r (1 + ε), vectors as rows; None: none.
        """
        ...

    def pullback(
        self, structures: Sequence[Structure], adjoints: Sequence[Sequence[Floats]]
    ) -> list[Pullback]:
        """Forces and virials of the loss whose derivatives by the values are given.

        Args:
            structures: atoms and cells.
            adjoints: a_io of each structure: arrays as `Sites.values`.
        """
        ...

    def rows(
        self, structures: Sequence[Structure], weights: Sequence[Floats | None] | None = None
    ) -> list[StructureRows]:
        """Design rows of sums over sites of the functions (of a model: of its basis).

        Args:
            structures: atoms and cells.
            weights: w_si of each structure, shape (sums, n): None: all sites, with weight 1; the
                identity: every site for itself; charges: Σ_i q_i B_i.
        """
        ...


class EnergyEvaluator(Protocol):
    """Reads energies from site outputs."""

    def evaluate(self, structures: Sequence[Structure], *, committee: bool = False) -> list[Result]:
        """Energies, forces and virials of several structures."""
        ...


class Bound(Protocol):
    """An evaluator bound to atoms whose elements and periodic directions stay."""

    def compute(self, positions: Floats, cell: Floats) -> Totals:
        """Energies, forces and the virial.

        Args:
            positions: in Å, shape (n, 3), anywhere in or outside the cell.
            cell: lattice vectors as rows in Å, shape (3, 3); those of directions that are not
                periodic are ignored.

        Raises:
            InputError: another number of atoms, positions or results that are not finite,
                coinciding or too close atoms, a cell without volume.
        """
        ...


class BoundMany(Protocol):
    """An evaluator bound to several structures: their sizes and periodic directions stay."""

    def compute(
        self,
        positions: Floats,
        cells: Floats,
        out: ManyTotals | None = None,
        numbers: Ints | None = None,
    ) -> ManyTotals:
        """Energies, forces and virials of all structures; what is wrong with one stops no other.

        Args:
            positions: of all atoms, structure after structure, in Å, shape (N, 3).
            cells: lattice vectors as rows in Å, shape (S, 3, 3).
            out: takes the results, as `ManyTotals.empty` makes it; None: new arrays.
            numbers: atomic numbers of all atoms, shape (N,); None: those that were bound.

        Returns:
            The results; with `out` in its arrays.

        Raises:
            InputError: arrays of another shape.
        """
        ...


def row_count(quantity: Quantity, atoms: int) -> int:
    """Number of rows of a quantity of a structure."""
    return {"energy": 1, "forces": 3 * atoms, "virial": 6}[quantity]


class RowBuilder(Protocol):
    """Writes design rows of energies where a fit wants them."""

    def fill(self, structure: Structure, quantities: Sequence[Quantity], out: Floats) -> None:
        """Write the rows of one structure: rows @ coefficients = evaluate, less E0.

        Args:
            structure: atoms and cell.
            quantities: which rows, one quantity below the other: energy (1 row), forces (3n,
                atom by atom, x y z), virial (6, in the order xx yy zz yz xz xy).
            out: takes them, shape (m, K), in Fortran order.

        Raises:
            InputError: an unknown element, atoms that are too close, a matrix of another shape.
        """
        ...
