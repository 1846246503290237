"""One calculation of PySCF: H and S of a molecule or a crystal."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from acepot import lattice
from acepot.basis.species import SYMBOLS
from acepot.errors import ConvergenceError, InputError, MissingDependency
from acepot.hamiltonian.formats.assembly import Imported
from acepot.hamiltonian.formats.pyscf_matrices import from_pyscf
from acepot.hamiltonian.matrices import Floats
from acepot.structure import Structure
from acepot.units import HARTREE

try:
    from pyscf import dft, gto, lib
    from pyscf.lib.exceptions import BasisNotFoundError
    from pyscf.pbc import dft as pbcdft
    from pyscf.pbc import gto as pbcgto
except ImportError as error:
    raise MissingDependency("making data needs PySCF: pip install acepot[hamiltonian]") from error

__all__ = ["Method", "calculate", "matrix_mesh", "one_thread"]

#: Bytes of values of orbitals on a grid that are kept.
_REMEMBER = 2_000_000_000


@dataclass(frozen=True)
class Method:
    """What is calculated.

    Args:
        basis: name of a basis of PySCF.
        pseudo: name of its pseudopotentials; None: all electrons.
        xc: exchange-correlation functional.
        kmesh: k along each reciprocal lattice vector of crystals, zero among them.
        reach: the converged H is taken apart into H(T) on a mesh of k so dense that atoms up to
            this far apart in Å are told from their images.
        smearing: width of the Fermi function in eV; 0: none.
        precision: of PySCF's cell.
        energy: change in eV at which a calculation has converged.
    """

    basis: str = "gth-szv-molopt-sr"
    pseudo: str | None = "gth-pbe"
    xc: str = "pbe"
    kmesh: tuple[int, int, int] = (4, 4, 4)
    reach: float = 11.0
    smearing: float = 0.1
    precision: float = 1e-8
    energy: float = 1e-6

    def __post_init__(self) -> None:
        if len(self.kmesh) != 3 or min(self.kmesh) < 1 or max(self.kmesh) > 64:
            raise InputError(f"kmesh: expected three whole numbers from 1 to 64, got {self.kmesh}")
        if not 1.0 <= self.reach <= 50.0:
            raise InputError(f"reach: expected 1 to 50 Å, got {self.reach}")
        if not 0.0 <= self.smearing < 10.0:
            raise InputError(f"smearing: expected 0 to 10 eV, got {self.smearing}")


class _Cell(pbcgto.Cell):  # type: ignore[misc]
    """Remembers the values of its orbitals on a grid, for which every cycle asks twice."""

    _remembered: tuple[tuple[Any, Any], ...] = ()

    def pbc_eval_gto(
        self, eval_name: str, coords: Any, comp: Any = None, kpts: Any = None, **other: Any
    ) -> Any:
        """As of PySCF."""
        if other.get("out") is not None or kpts is None:
            return super().pbc_eval_gto(eval_name, coords, comp, kpts, **other)
        digest = hashlib.sha256(np.ascontiguousarray(coords).tobytes())
        digest.update(np.ascontiguousarray(kpts).tobytes())
        key = (eval_name, comp, other.get("shls_slice"), digest.digest())
        for known, values in self._remembered:
            if known == key:
                return values
        found = super().pbc_eval_gto(eval_name, coords, comp, kpts, **other)
        for one in found:
            one.flags.writeable = False
        # Two, at the k of the density and at those of the matrix.
        kept = (*self._remembered[-1:], (key, found))
        if sum(one.nbytes for _, values in kept for one in values) < _REMEMBER:
            self._remembered = kept
        return found


def one_thread() -> None:
    """Let PySCF use one core in this process."""
    lib.num_threads(1)


def calculate(structure: Structure, method: Method) -> Imported:
    """H and S of one structure.

    Raises:
        InputError: periodic in one or two directions, or an odd number of electrons without k.
        ConvergenceError: the calculation did not converge.
    """
    name = structure.name or "structure"
    if structure.pbc.all():
        return _crystal(structure, method, name)
    if structure.pbc.any():
        raise InputError(
            f"{name}: expected a molecule or a crystal in three dimensions, got pbc "
            f"{structure.pbc.tolist()}"
        )
    with _set_up(name):
        mol = gto.M(
            atom=_atoms(structure), basis=method.basis, pseudo=method.pseudo, verbose=0, spin=None
        )
    if mol.nelectron % 2:
        raise InputError(f"{name}: expected an even number of electrons, got {mol.nelectron}")
    field = dft.RKS(mol, xc=method.xc)
    field.conv_tol = method.energy / HARTREE
    _converge(field, name)
    return from_pyscf(field, name=name)


def _crystal(structure: Structure, method: Method, name: str) -> Imported:
    cell = _Cell()
    with _set_up(name):
        cell.build(
            dump_input=False, parse_arg=False, a=structure.cell, atom=_atoms(structure),
            unit="Angstrom", space_group_symmetry=True, symmorphic=True, basis=method.basis,
            pseudo=method.pseudo, precision=method.precision, verbose=0, spin=None,
        )  # fmt: skip
    reduced = cell.make_kpts(method.kmesh, space_group_symmetry=True, time_reversal_symmetry=True)
    # Densities on several grids: the same numbers in a third of the time.
    field: Any = pbcdft.KRKS(cell, reduced, xc=method.xc).multigrid_numint()
    field.conv_tol = method.energy / HARTREE
    if method.smearing:
        field = field.smearing(sigma=method.smearing / HARTREE, method="fermi")
    _converge(field, name)
    fock, kpts = _fock(field, matrix_mesh(structure, method.reach))
    energies = np.concatenate(list(field.mo_energy)) * HARTREE
    weights = np.repeat(reduced.weights_ibz, [len(one) for one in field.mo_energy])
    fermi = _fermi(energies, weights, float(cell.nelectron), max(method.smearing, 1e-3))
    return from_pyscf(field, fock, kpts, fermi=fermi, name=name)


def matrix_mesh(structure: Structure, reach: float) -> tuple[int, int, int]:
    """Numbers of k with which no lattice vector of the supercell is shorter than 2 reach.

    Args:
        structure: a crystal.
        reach: in Å.
    """
    mesh = np.ceil(2 * reach / np.linalg.norm(structure.cell, axis=1)).astype(int)
    while True:
        short, _ = lattice.reduced(mesh[:, None] * structure.cell, structure.pbc)
        if np.linalg.norm(short, axis=1).min() >= 2 * reach:
            return (int(mesh[0]), int(mesh[1]), int(mesh[2]))
        mesh += 1


def _fock(field: Any, mesh: tuple[int, int, int]) -> tuple[Any, Any]:
    """F(k) of the converged density on a mesh of its own; that of -k is the conjugate."""
    cell = field.cell
    kpts = cell.make_kpts(mesh)
    whole = np.round(cell.get_scaled_kpts(kpts) * mesh).astype(int) % mesh
    number = {tuple(k): n for n, k in enumerate(whole.tolist())}
    mirror = np.array([number[tuple(k)] for k in (-whole % mesh).tolist()])
    half = np.flatnonzero(np.arange(len(kpts)) <= mirror)
    one_electron = pbcdft.KRKS(cell, kpts[half]).get_hcore(cell, kpts[half])
    density = field.make_rdm1()
    effective = field.get_veff(cell, density, kpts=field.kpts, kpts_band=kpts[half])
    fock = np.zeros((len(kpts), cell.nao, cell.nao), dtype=complex)
    fock[half] = np.asarray(one_electron) + np.asarray(effective)
    fock[mirror[half]] = fock[half].conj()
    return fock, kpts


@contextmanager
def _set_up(name: str) -> Iterator[None]:
    """Unknown bases, functionals and elements as InputErrors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (BasisNotFoundError, KeyError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"{name}: PySCF cannot set it up: {said}") from error


def _atoms(structure: Structure) -> list[tuple[str, Floats]]:
    return [
        (SYMBOLS[z], place)
        for z, place in zip(structure.numbers.tolist(), structure.positions, strict=True)
    ]


def _converge(field: Any, name: str) -> None:
    field.kernel()
    if not field.converged:
        raise ConvergenceError(
            f"{name}: PySCF did not converge in {field.max_cycle} cycles; try more smearing"
        )


def _fermi(energies: Floats, weights: Floats, electrons: float, width: float) -> float:
    """The level in eV below which there are so many electrons, with a width in eV."""

    def excess(level: float) -> float:
        return float(2 * np.sum(weights * expit((level - energies) / width)) - electrons)

    low, high = energies.min() - 50 * width, energies.max() + 50 * width
    if excess(high) <= 0.0:
        return float(energies.max())
    return float(brentq(excess, low, high, xtol=1e-12))
