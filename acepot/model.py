"""Models as frozen data: energies, tensors, Hamiltonians, friction, charges; nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.basis.basis import Basis
from acepot.basis.bond import BondSpec
from acepot.basis.embedding import Nonlinear
from acepot.basis.irrep import SCALAR, Irrep
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import InputError
from acepot.orbitals import Filling, Orbitals


@dataclass(frozen=True, eq=False)
class Model:
    """E = Σ_i (E0 + Σ_k c_k B_k).

    Args:
        basis: a resolved specification, or products written out one by one.
        coefficients: c in eV [member, output, k]: member 0 is the model, the others are its
            committee; outputs are the densities, one in a linear model. A vector (K,) is one
            member's only output.
        e0: energy of an isolated atom of each element in eV, in the order of the elements,
            shape (S,).
        provenance: where the model came from: plain values that JSON can hold.
        nonlinear: embeddings and core repulsion, or None for a linear model. It has one member.

    Raises:
        InputError: wrong shapes or non-finite numbers.
    """

    basis: Basis
    coefficients: NDArray[np.float64]
    e0: NDArray[np.float64]
    _: KW_ONLY
    provenance: Mapping[str, Any] = field(default_factory=dict)
    nonlinear: Nonlinear | None = None

    def __post_init__(self) -> None:
        if self.basis.constant:
            raise InputError("model.basis: an energy has E0 for a constant; use constant = false")
        given = np.array(self.coefficients, dtype=float)
        given = given[None, None] if given.ndim == 1 else given
        (coefficients,) = _checked_coefficients((given,), (SCALAR,))
        e0 = np.array(self.e0, dtype=float)
        if e0.ndim != 1 or not np.isfinite(e0).all():
            raise InputError("model.e0: expected 1-dimensional finite numbers")
        if len(e0) != len(self.numbers):
            raise InputError(f"model.e0: expected {len(self.numbers)} energies, got {len(e0)}")
        e0.flags.writeable = False
        object.__setattr__(self, "coefficients", coefficients)
        object.__setattr__(self, "e0", e0)
        densities = 1
        if self.nonlinear is not None:
            self._check_nonlinear(self.nonlinear)
            densities = self.nonlinear.densities
        if coefficients.shape[1] != densities:
            raise InputError(
                f"model.coefficients: outputs are densities: expected {densities}, "
                f"got {coefficients.shape[1]}"
            )

    def _check_nonlinear(self, nonlinear: Nonlinear) -> None:
        if self.committee is not None:
            raise InputError(
                "model.coefficients: nonlinear models have no committee: expected one member, "
                f"got {len(self.coefficients)}"
            )
        if len(nonlinear.embeddings) != len(self.numbers):
            raise InputError(
                f"model.nonlinear: expected {len(self.numbers)} embeddings, "
                f"got {len(nonlinear.embeddings)}"
            )

    @property
    def committee(self) -> NDArray[np.float64] | None:
        """Coefficients of the members after the first, shape (M, K); None without any."""
        return self.coefficients[1:, 0] if len(self.coefficients) > 1 else None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.basis.numbers

    @property
    def elements(self) -> tuple[str, ...]:
        """Their symbols."""
        return tuple(SYMBOLS[z] for z in self.numbers)


@dataclass(frozen=True, eq=False)
class TensorModel:
    """y_io = Σ_k c_ok B_ik^L: scalars, vectors or tensors of every site, of any parity.

    Charges are an output of 0e, dipoles of 1o, friction and polarisability of 0e and 2e.

    Args:
        basis: a resolved specification; its irreps are those of the outputs.
        coefficients: for each irrep of the basis [member, output, k], the same number of
            members for all; member 0 is the model, the others are its committee.
        names: of the outputs of each irrep; () names them by number.
        unit: of all outputs.
        provenance: where the model came from: plain values that JSON can hold.

    Raises:
        InputError: arrays that do not fit each other, or numbers that are not finite.
    """

    basis: Basis
    coefficients: tuple[NDArray[np.float64], ...]
    names: tuple[tuple[str, ...], ...] = ()
    unit: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_outputs(self, self.irreps)

    @property
    def irreps(self) -> tuple[Irrep, ...]:
        """(L, parity) of the outputs."""
        return self.basis.symmetries

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.basis.numbers


@dataclass(frozen=True, eq=False)
class BondModel:
    """h_ijo = Σ_k c_ok F_k^L(i→j): tensors of every directed bond, as matrix blocks are made of.

    Args:
        basis: a resolved specification of the functions of the sites.
        bonds: resolved functions of the bonds alone.
        irreps: (L, parity) of the outputs.
        coefficients: for each of them [member, output, k], in the order of
            `evaluate.bond_coupling.BondCoupling`.
        names: of the outputs of each irrep; () names them by number.
        unit: of all outputs.
        provenance: where the model came from: plain values that JSON can hold.

    Raises:
        InputError: arrays that do not fit each other, or numbers that are not finite.
    """

    basis: BasisSpec
    bonds: BondSpec
    irreps: tuple[Irrep, ...]
    coefficients: tuple[NDArray[np.float64], ...]
    names: tuple[tuple[str, ...], ...] = ()
    unit: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_outputs(self, self.irreps)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.basis.numbers


@dataclass(frozen=True, eq=False)
class HamiltonianModel:
    """H(T), and S(T), in atomic orbitals.

    The block of shells α and β is Σ_L Σ_M T[m1, m2, M] h^L_M. Of an atom with itself h^L are
    outputs of `onsite` named "α β" (shells counted from 0, α <= β); of a bond
    h^L = y^{αβ}(i→j) + (-1)^(l_α + l_β - L) y^{βα}(j→i) with outputs y of `hopping`.

    Args:
        orbitals: shells of every element.
        onsite: h^L of atoms in eV.
        hopping: h^L of bonds in eV.
        overlap: the same of S; None: orbitals of different atoms are orthonormal.
        onsite_overlap: S of each element's atom with itself, by symbol, shape (o, o).
        electrons: valence electrons of each element, by symbol; {}: not known.
        filling: with which energies are made of the levels.
        repulsion: what the energy has besides the free energy of the electrons; None: nothing.
        provenance: where the model came from: plain values that JSON can hold.

    Raises:
        InputError: parts that do not fit the orbitals or each other.
    """

    orbitals: Orbitals
    onsite: TensorModel
    hopping: BondModel
    overlap: BondModel | None
    onsite_overlap: Mapping[str, NDArray[np.float64]]
    electrons: Mapping[str, float] = field(default_factory=dict)
    filling: Filling = field(default_factory=Filling)
    repulsion: Model | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = self.orbitals.numbers
        if self.repulsion is not None and self.repulsion.numbers != numbers:
            raise InputError("repulsion: expected the elements of the orbitals")
        parts: list[tuple[str, TensorModel | BondModel, Mapping[Irrep, Any]]] = [
            ("onsite", self.onsite, self.orbitals.onsite_parts()),
            ("hopping", self.hopping, self.orbitals.bond_parts()),
        ]
        if self.overlap is not None:
            parts.append(("overlap", self.overlap, self.orbitals.bond_parts()))
        for name, model, expected in parts:
            if model.numbers != numbers:
                raise InputError(f"{name}: expected the elements of the orbitals")
            for irrep, names in zip(model.irreps, model.names, strict=True):
                wanted = tuple(f"{one} {two}" for one, two in expected.get(irrep, ()))
                if names != wanted:
                    raise InputError(
                        f"{name}: outputs of {irrep}: expected {', '.join(wanted) or 'none'} for "
                        f"these orbitals, got {', '.join(names)}"
                    )
        members = {len(self.onsite.coefficients[0]), len(self.hopping.coefficients[0])}
        if len(members) > 1:
            raise InputError(f"expected as many members on sites as on bonds, got {members}")
        self._check_elements()

    def _check_elements(self) -> None:
        symbols = list(self.orbitals.shells)
        if list(self.onsite_overlap) != symbols:
            raise InputError(f"onsite_overlap: expected {symbols}, got {list(self.onsite_overlap)}")
        for symbol, array in self.onsite_overlap.items():
            size = self.orbitals.count(atomic_number(symbol))
            if array.shape != (size, size) or not np.array_equal(array, array.T):
                raise InputError(f"onsite_overlap: {symbol}: expected a symmetric {size} by {size}")
            if not np.isfinite(array).all():
                raise InputError(f"onsite_overlap: {symbol}: expected finite numbers")
        if self.electrons and list(self.electrons) != symbols:
            raise InputError(f"electrons: expected {symbols}, got {list(self.electrons)}")
        if not all(np.isfinite(n) and n >= 0 for n in self.electrons.values()):
            raise InputError("electrons: expected finite numbers of 0 or more")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.orbitals.numbers


def _checked_coefficients(
    given: Sequence[ArrayLike], irreps: tuple[Irrep, ...]
) -> tuple[NDArray[np.float64], ...]:
    """Coefficients [member, output, k] of each irrep, copied and read-only."""
    arrays = tuple(np.array(c, dtype=float, order="C") for c in given)
    shapes = [c.shape for c in arrays]
    if not arrays or len(arrays) != len(irreps) or any(c.ndim != 3 for c in arrays):
        raise InputError(
            f"model.coefficients: expected [member, output, k] for each of "
            f"{', '.join(map(str, irreps))}, got {shapes}"
        )
    if {s[0] for s in shapes} != {max(shapes[0][0], 1)}:
        raise InputError(f"model.coefficients: expected as many members for all, got {shapes}")
    if not all(np.isfinite(c).all() for c in arrays):
        raise InputError("model.coefficients: expected finite numbers")
    for c in arrays:
        c.flags.writeable = False
    return arrays


def _check_outputs(model: TensorModel | BondModel, irreps: tuple[Irrep, ...]) -> None:
    """Check coefficients and names of outputs against each other; arrays become read-only."""
    arrays = _checked_coefficients(model.coefficients, irreps)
    shapes = [c.shape for c in arrays]
    names = model.names or tuple(tuple(str(o) for o in range(s[1])) for s in shapes)
    if [len(n) for n in names] != [s[1] for s in shapes]:
        raise InputError(
            f"model.names: expected names of {[s[1] for s in shapes]} outputs, got {names}"
        )
    object.__setattr__(model, "coefficients", arrays)
    object.__setattr__(model, "names", tuple(tuple(n) for n in names))


#: The (L, parity) that a column of Σ may be made of: a vector, or a matrix of its parts.
FRICTION_VECTOR = (Irrep(1, -1),)
FRICTION_MATRIX = (Irrep(0, 1), Irrep(1, 1), Irrep(2, 1))


@dataclass(frozen=True, eq=False)
class FrictionPart:
    """One kind of coupling between friction and atoms: blocks of Σ in Γ = Σ Σᵀ.

    Outputs of 1o are columns of Σ, a vector each; those of 0e, 1e and 2e with the same number are
    the parts of a block of three columns. There are `channels` of them, each with noise of its own.
    Of bonds, outputs "there r" are seen from i and "back r" from j: y_ij = there_ij + back_ji.

    Args:
        coupling: on-site: Σ_i has noise of its own. column-wise: noise of atom k, Σ_ik = y_ik and
            Σ_kk of the sites. pair-wise: noise of the bond, w_ij = w_ji, Σ_ij = y_ij.
        momentum: conserved: Σ_ij = there_ij - there_ji (pair-wise), or Σ_kk = -Σ_i Σ_ik
            (column-wise); free: neither.
        acts_on: elements of the atoms that feel friction.
        bonds: the outputs of bonds; None: on-site.
        sites: the outputs of sites (on-site, and column-wise where momentum is free).

    Raises:
        InputError: parts that do not fit each other.
    """

    coupling: Literal["on-site", "column-wise", "pair-wise"]
    momentum: Literal["conserved", "free"]
    acts_on: tuple[str, ...]
    bonds: BondModel | None = None
    sites: TensorModel | None = None

    def __post_init__(self) -> None:
        if self.coupling not in ("on-site", "column-wise", "pair-wise"):
            raise InputError(f"coupling: expected a known one, got {self.coupling!r}")
        conserved = self.momentum == "conserved"
        if self.momentum not in ("conserved", "free") or (conserved and self.bonds is None):
            raise InputError(f"momentum: not {self.momentum!r} with the coupling {self.coupling}")
        wanted = (self.coupling != "on-site", self.coupling == "on-site" or self.two_sided_sites)
        if (self.bonds is not None, self.sites is not None) != wanted:
            raise InputError(
                f"a {self.coupling} coupling, momentum {self.momentum}: expected "
                f"{'bonds' if wanted[0] else 'no bonds'} and {'sites' if wanted[1] else 'no sites'}"
            )
        for model, names in ((self.bonds, self.bond_names), (self.sites, self.site_names)):
            if model is None:
                continue
            if not (self.is_vector or set(model.irreps) <= set(FRICTION_MATRIX)):
                raise InputError(
                    f"outputs: expected 1o alone, or of 0e, 1e and 2e, got {model.irreps}"
                )
            if any(found != names for found in model.names) or not self.channels:
                raise InputError(f"outputs: expected the names {names}, got {model.names}")
            if any(len(c) != 1 for c in model.coefficients):
                raise InputError("coefficients: expected one member, a committee has no place here")
        known = {SYMBOLS[z] for z in self.numbers}
        if not self.acts_on or not set(self.acts_on) <= known:
            raise InputError(f"acts_on: expected some of {sorted(known)}, got {self.acts_on}")
        both = self.bonds is not None and self.sites is not None
        if both and self.bonds.numbers != self.sites.numbers:  # type: ignore[union-attr]
            raise InputError("sites: expected the elements of the bonds")

    @property
    def two_sided_sites(self) -> bool:
        """Whether a column-wise coupling has blocks of sites of their own."""
        return self.coupling == "column-wise" and self.momentum == "free"

    @property
    def one(self) -> BondModel | TensorModel:
        """The outputs that say what blocks look like."""
        found = self.sites if self.bonds is None else self.bonds
        if found is None:
            raise InputError(f"a {self.coupling} coupling without outputs")
        return found

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.one.numbers

    @property
    def is_vector(self) -> bool:
        """Whether a block of Σ is one column."""
        return all(set(m.irreps) == set(FRICTION_VECTOR) for m in (self.bonds, self.sites) if m)

    @property
    def is_antisymmetric(self) -> bool:
        """Whether Σ_ij = -Σ_ji is made of one set of outputs."""
        return self.coupling == "pair-wise" and self.momentum == "conserved"

    @property
    def channels(self) -> int:
        """Independent copies of a block."""
        outputs = max((c.shape[1] for c in self.one.coefficients), default=0)
        return outputs if self.bonds is None or self.is_antisymmetric else outputs // 2

    @property
    def site_names(self) -> tuple[str, ...]:
        """Names of the outputs of sites."""
        return tuple(f"there {r}" for r in range(self.channels))

    @property
    def bond_names(self) -> tuple[str, ...]:
        """Names of the outputs of bonds."""
        back = () if self.is_antisymmetric else tuple(f"back {r}" for r in range(self.channels))
        return (*(f"there {r}" for r in range(self.channels)), *back)


@dataclass(frozen=True, eq=False)
class FrictionModel:
    """Γ = Σ_parts Σ Σᵀ in amu/fs: symmetric and positive semidefinite, whatever its numbers.

    Args:
        parts: couplings with independent noise.
        provenance: where the model came from: plain values that JSON can hold.

    Raises:
        InputError: no part, or parts of different elements.
    """

    parts: tuple[FrictionPart, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({part.numbers for part in self.parts}) != 1:
            raise InputError("parts: expected one or more, all of the same elements")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.parts[0].numbers

    @property
    def conserves_momentum(self) -> bool:
        """Whether neither friction nor its noise moves the centre of mass."""
        return all(part.momentum == "conserved" for part in self.parts)


@dataclass(frozen=True, eq=False)
class ChargeModel:
    """E = Σ_i ε_i + E_q: energies of sites, and charges that interact at any distance.

    equilibrated: χ_i are electronegativities, and the charges minimise χ·q + ½ qᵀ (A + J) q at the
    total charge of the structure. latent: outputs c_i are charges themselves, shifted alike until
    they add up to it, and E_q = ½ qᵀ A q. A is that of Gaussians (see `charges.interaction`).

    Args:
        sites: outputs of 0e: "energy" in eV, and "electronegativity" in eV/e or "charge" in e. Its
            basis has constants, whose coefficients are the energies of isolated atoms and χ⁰.
        kind: what the second output is.
        widths: s of each element in Å, in the order of the elements, shape (S,).
        hardness: J of each element in eV/e², shape (S,); latent: none, zeros.
        provenance: where the model came from: plain values that JSON can hold.

    Raises:
        InputError: parts that do not fit each other, or numbers out of bounds.
    """

    sites: TensorModel
    kind: Literal["equilibrated", "latent"]
    widths: NDArray[np.float64]
    hardness: NDArray[np.float64]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in CHARGE_OUTPUTS:
            known = " or ".join(CHARGE_OUTPUTS)
            raise InputError(f"kind: expected {known}, got {self.kind!r}")
        wanted = ("energy", CHARGE_OUTPUTS[self.kind])
        if self.sites.irreps != (SCALAR,) or self.sites.names != (wanted,):
            raise InputError(f"sites: expected the outputs {wanted} of 0e, got {self.sites.names}")
        least_hardness = 0.0 if self.kind == "latent" else 0.01
        if not self.sites.basis.constant:
            raise InputError("sites: expected a basis with constants; use constant = true")
        for name, least in (("widths", 0.01), ("hardness", least_hardness)):
            array = np.array(getattr(self, name), dtype=float)
            if array.shape != (len(self.numbers),) or not np.isfinite(array).all():
                raise InputError(f"{name}: expected {len(self.numbers)} finite numbers")
            if array.min() < least or array.max() > 1000:
                raise InputError(f"{name}: expected {least:g} to 1000, got {array.tolist()}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.kind == "latent" and self.hardness.any():
            raise InputError("hardness: latent charges have none, expected zeros")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return self.sites.numbers

    @property
    def elements(self) -> tuple[str, ...]:
        """Their symbols."""
        return tuple(SYMBOLS[z] for z in self.numbers)

    @property
    def committee(self) -> NDArray[np.float64] | None:
        """Coefficients of the members after the first, shape (M, 2, K); None without any."""
        (found,) = self.sites.coefficients
        return found[1:] if len(found) > 1 else None


#: What the second output of a model with charges is called, by its kind.
CHARGE_OUTPUTS = {"equilibrated": "electronegativity", "latent": "charge"}
#: Models that give energies of structures.
PotentialModel = Model | ChargeModel
#: Everything that a model file may hold.
AnyModel = Model | TensorModel | BondModel | HamiltonianModel | FrictionModel | ChargeModel


def known_shortest(model: PotentialModel) -> dict[str, float]:
    """The shortest distances a model says it was fitted to; models may come from anywhere."""
    stored = model.provenance.get("shortest distances")
    found = stored.items() if isinstance(stored, Mapping) else ()
    return {str(pair): float(r) for pair, r in found if isinstance(r, (int, float))}
