"""Matrices of PySCF calculations in this process: molecules, and crystals on a mesh of k.

F(k) = Σ_T exp(2πi k·T) F(T), so F(T) = (1/N) Σ_k exp(-2πi k·T) F(k) for the T of the mesh's
supercell that bring two atoms closest together. S(T) comes from integrals in real space.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, MissingDependency
from acepot.hamiltonian.formats.assembly import (
    AS_IS,
    Found,
    Imported,
    Matrix,
    Reading,
    finished,
    of_translations,
)
from acepot.hamiltonian.matrices import Complex, Floats, Ints
from acepot.orbitals import LETTERS, Orbitals
from acepot.structure import Structure
from acepot.units import BOHR, HARTREE

try:
    from pyscf import gto
except ImportError as error:
    raise MissingDependency("matrices of PySCF need it: pip install acepot[hamiltonian]") from error

__all__ = ["from_pyscf", "real_space"]

#: eV below which a block of F, and below which one of S (a number), is left out.
_SMALL, _SMALL_OVERLAP = 1e-5, 1e-9
#: Å by which images may differ in distance and still be equally close.
_EQUAL = 1e-4
#: Largest imaginary part of F(T) in eV, by rounding and by the grid of the density.
_IMAGINARY = 1e-3


def from_pyscf(
    mean_field: Any,
    fock: NDArray[np.complexfloating[Any]] | None = None,
    kpts: Floats | None = None,
    reading: Reading = AS_IS,
    fermi: float | None = None,
    name: str = "pyscf",
) -> Imported:
    """H and S of a converged restricted calculation.

    Args:
        mean_field: RHF or RKS of a molecule, or KRHF or KRKS of a crystal in three dimensions.
        fock: F(k) in Hartree, shape (nk, n, n); None: that of the calculation.
        kpts: the k of `fock` in 1/Bohr, a mesh that holds zero; None: those of the calculation.
        reading: how numbers are understood, for tests.
        fermi: Fermi level in eV; None: not known.
        name: how errors begin.

    Raises:
        InputError: another kind of calculation, or k that are no mesh.
    """
    mol = mean_field.mol
    if mol.cart:
        raise InputError(f"{name}: expected spherical functions, got Cartesian ones (cart=True)")
    reading = reading.over("pyscf")
    orbitals, structure = shells_of(mol, name), structure_of(mol, name)
    offsets = orbitals.offsets(structure.numbers)
    if getattr(mol, "dimension", 0) == 0:
        none = np.zeros((1, 3), dtype=np.int64)
        found = np.asarray(mean_field.get_fock() if fock is None else fock)
        if found.ndim != 2:
            raise InputError(f"{name}: expected a restricted calculation, got F of {found.shape}")
        hamiltonian = of_translations(none, [found * HARTREE], offsets, name)
        overlap = of_translations(none, [mean_field.get_ovlp()], offsets, name)
    else:
        if mol.dimension != 3:
            raise InputError(
                f"{name}: expected a molecule or a crystal in three dimensions, got {mol.dimension}"
            )
        found = np.asarray(mean_field.get_fock() if fock is None else fock, dtype=complex)
        ks = np.asarray(mean_field.kpts if kpts is None else kpts).reshape(-1, 3)
        if found.shape != (len(ks), offsets[-1], offsets[-1]):
            raise InputError(
                f"{name}: expected F(k) of a restricted calculation, shape "
                f"{(len(ks), int(offsets[-1]), int(offsets[-1]))}, got {found.shape}"
            )
        fractional = mol.get_scaled_kpts(ks)
        hamiltonian = real_space(np.asarray(found * HARTREE), fractional, structure, offsets, name)
        overlap = _overlap(mol, structure, offsets, name)
    return finished(
        Found(
            structure, orbitals, hamiltonian, overlap, reading, float(mol.nelectron), fermi,
            name=name,
        )
    )  # fmt: skip


def shells_of(mol: Any, name: str) -> Orbitals:
    """The shells of every element, in the order in which they stand."""
    found: dict[str, str] = {}
    for atom in range(mol.natm):
        letters = ""
        for shell in mol.atom_shell_ids(atom):
            letters += LETTERS[int(mol.bas_angular(shell))] * int(mol.bas_nctr(shell))
        element = str(mol.atom_pure_symbol(atom))
        if found.setdefault(element, letters) != letters:
            raise InputError(f"{name}: expected one basis for {element}, got two")
    return Orbitals(found)


def structure_of(mol: Any, name: str) -> Structure:
    """The atoms of a molecule or crystal."""
    symbols = [mol.atom_pure_symbol(atom) for atom in range(mol.natm)]
    numbers = [SYMBOLS.index(symbol) for symbol in symbols]
    positions = mol.atom_coords() * BOHR
    if getattr(mol, "dimension", 0) == 0:
        return Structure(numbers, positions, name=name)
    return Structure(numbers, positions, mol.lattice_vectors() * BOHR, True, name=name)


def mesh_of(fractional: Floats, name: str) -> Ints:
    """How many k there are along each reciprocal lattice vector, of a full mesh with zero.

    Raises:
        InputError: it is none.
    """
    ks = np.asarray(fractional, dtype=float) % 1.0
    sizes = np.array([len(np.unique(np.round(ks[:, n], 8) % 1.0)) for n in range(3)])
    steps = ks * sizes
    whole = np.round(steps).astype(np.int64) % sizes
    complete = len(np.unique(whole, axis=0)) == len(ks) == int(sizes.prod())
    if not complete or np.abs(steps - np.round(steps)).max() > 1e-6:
        raise InputError(
            f"{name}: expected k on a mesh n1 x n2 x n3 that holds zero, each once, got {len(ks)} "
            "others; symmetry-reduced k must be unfolded first"
        )
    return sizes.astype(np.int64)


def real_space(
    matrices: Complex, fractional: Floats, structure: Structure, offsets: Ints, name: str
) -> Matrix:
    """F(T) = (1/N) Σ_k exp(-2πi k·T) F(k), T where atoms are closest; equally close ones share.

    Args:
        matrices: F(k) in eV, shape (N, n, n).
        fractional: k in units of the reciprocal lattice vectors, shape (N, 3).
        structure: atoms and cell.
        offsets: where the orbitals of each atom begin, and the last ones end.
        name: how errors begin.

    Raises:
        InputError: k are no mesh, or F(T) is not real.
    """
    sizes = mesh_of(fractional, name)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in sizes), indexing="ij"), -1).reshape(-1, 3)
    phases = np.exp(-2j * np.pi * (grid @ np.asarray(fractional).T)) / len(fractional)  # [T, k]
    size = matrices.shape[-1]
    found = (phases @ matrices.reshape(len(fractional), -1)).reshape(-1, size, size)
    if (imaginary := float(np.abs(found.imag).max())) > _IMAGINARY:
        raise InputError(
            f"{name}: expected a real F(T), got an imaginary part of {imaginary:.2g} eV: is the "
            "calculation converged, and without magnetic fields?"
        )
    around = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    index, blocks = [], []
    for i in range(len(structure)):
        for j in range(len(structure)):
            part = found.real[:, offsets[i] : offsets[i + 1], offsets[j] : offsets[j + 1]]
            apart = structure.positions[j] - structure.positions[i]
            for vector, block in zip(grid, part, strict=True):
                if np.abs(block).max() < _SMALL:
                    continue
                images = vector + around * sizes
                distance = np.linalg.norm(apart + images @ structure.cell, axis=1)
                closest = images[distance < distance.min() + _EQUAL]
                index += [(i, j, *image) for image in closest.tolist()]
                blocks += [block / len(closest)] * len(closest)
    return Matrix(np.array(index, dtype=np.int64), blocks)


def _overlap(cell: Any, structure: Structure, offsets: Ints, name: str) -> Matrix:
    """S(T) by integrals between the atoms of the cell and those around it."""
    slowest = min(float(cell.bas_exp(shell).min()) for shell in range(cell.nbas))
    # Two Gaussians of exponent a at d overlap as exp(-a d²/2).
    reach = np.sqrt(2 * np.log(1e3 / _SMALL_OVERLAP) / slowest) * BOHR
    vectors = _within(structure, reach)
    atoms, index = [], []
    for vector in vectors:
        moved = structure.positions + vector @ structure.cell
        for j, place in enumerate(moved):
            if np.linalg.norm(structure.positions - place, axis=1).min() < reach:
                atoms.append((cell.atom_symbol(j), place / BOHR))
                index.append((j, *vector.tolist()))
    home = _molecule(
        cell, [(cell.atom_symbol(j), r / BOHR) for j, r in enumerate(structure.positions)]
    )
    integrals = gto.intor_cross("int1e_ovlp", home, _molecule(cell, atoms))
    sizes = np.diff(offsets)
    ends = np.concatenate([[0], np.cumsum([sizes[j] for j, *_ in index])])
    found, blocks = [], []
    for (j, *vector), a, b in zip(index, ends[:-1], ends[1:], strict=True):
        for i in range(len(structure)):
            block = integrals[offsets[i] : offsets[i + 1], a:b]
            if np.abs(block).max() > _SMALL_OVERLAP:
                found.append((i, j, *vector))
                blocks.append(block)
    return Matrix(np.array(found, dtype=np.int64), blocks)


def _within(structure: Structure, reach: float) -> Ints:
    """Every T that may bring two atoms within a distance in Å."""
    spread = np.ptp(structure.positions, axis=0)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
    most = np.ceil((reach + np.linalg.norm(spread)) / heights).astype(int)
    axes = [np.arange(-n, n + 1) for n in most]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def _molecule(cell: Any, atoms: list[tuple[str, Floats]]) -> Any:
    """Atoms with the basis of a cell, for integrals alone."""
    mol = gto.Mole()
    mol.build(
        dump_input=False, parse_arg=False, verbose=0, atom=atoms, unit="Bohr", basis=cell._basis,
        charge=0, spin=None,
    )  # fmt: skip
    return mol
