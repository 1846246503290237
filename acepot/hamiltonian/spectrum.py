"""Levels, occupations and densities of states of H(k) C = S(k) C ε.

    N_e = Σ_k w_k 2 Σ_n f((ε_kn - μ)/k_B T)          E_band = Σ_k w_k 2 Σ_n f ε
    A   = E_band - T S,   S = -2 k_B Σ_k w_k Σ_n [f ln f + (1 - f) ln(1 - f)]
    dA  = Σ_k w_k Re Tr[ρ dH - W dS],   ρ = 2 Σ_n f C C†,   W = 2 Σ_n f ε C C†

k are in units of the reciprocal lattice vectors. With time reversal k and -k have the same levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh, eigvalsh
from scipy.sparse.linalg import ArpackError, eigsh
from scipy.special import entr, erf, expit

from acepot.errors import ConvergenceError, InputError
from acepot.hamiltonian.matrices import Complex, Floats, OrbitalMatrix
from acepot.units import BOLTZMANN

#: Bisection of the Fermi level ends at this many eV.
_SHARP = 1e-13
#: Beyond so many k_B T a level is full, or empty, in every digit.
_FAR = 40.0
#: Orbitals up to which all k are diagonalised at once.
_SMALL = 64


@dataclass(frozen=True, eq=False)
class Mesh:
    """Points k with their weights.

    Args:
        points: in units of the reciprocal lattice vectors, shape (nk, 3).
        weights: sum 1, shape (nk,).
    """

    points: Floats
    weights: Floats


def mesh(divisions: tuple[int, int, int], *, shifted: bool = False) -> Mesh:
    """A regular mesh of k, of which one of k and -k is kept.

    Args:
        divisions: number of points along each reciprocal lattice vector.
        shifted: by half a division: without k = 0 where the number is even.

    Raises:
        InputError: fewer than one division.
    """
    if min(divisions) < 1:
        raise InputError(f"kmesh: expected three numbers of 1 or more, got {divisions}")
    grids = [(np.arange(n) + (0.5 if shifted else 0.0)) / n for n in divisions]
    points = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 3)
    points -= np.round(points)
    code = np.round(points * 2 * np.array(divisions)).astype(int) % (2 * np.array(divisions))
    reverse = (-code) % (2 * np.array(divisions))
    found: dict[tuple[int, ...], int] = {}
    weights = np.zeros(len(points))
    for number, (one, other) in enumerate(zip(code.tolist(), reverse.tolist(), strict=True)):
        first = found.setdefault(min(tuple(one), tuple(other)), number)
        weights[first] += 1
    kept = np.flatnonzero(weights)
    return Mesh(points[kept], weights[kept] / len(points))


@dataclass(frozen=True, eq=False)
class Levels:
    """Levels of every k, ascending.

    Args:
        mesh: the points.
        energies: ε in eV, shape (nk, orbitals).
        orbitals: C, columns as the levels, normalised C† S C = 1, shape (nk, orbitals, orbitals);
            None: not asked for.
    """

    mesh: Mesh
    energies: Floats
    orbitals: Complex | None = None


def levels(
    hamiltonian: OrbitalMatrix,
    overlap: OrbitalMatrix | None,
    points: Mesh,
    *,
    orbitals: bool = False,
) -> Levels:
    """All levels by dense diagonalisation.

    Args:
        hamiltonian: H(T) in eV.
        overlap: S(T); None: orthonormal orbitals.
        points: k with weights.
        orbitals: whether eigenvectors are wanted.

    Raises:
        ConvergenceError: an overlap that is not positive definite; the message names k and the
            smallest eigenvalue.
    """
    if hamiltonian.size <= _SMALL:
        return _small_levels(hamiltonian, overlap, points, orbitals)
    energies, vectors = [], []
    metrics = overlap.at(points.points) if overlap is not None else None
    for k, h in zip(points.points, hamiltonian.at(points.points), strict=True):
        s = None if metrics is None else next(metrics)
        real = not h.imag.any()  # as it is at k = 0 and at the edges of the zone
        given = (h.real, None if s is None else s.real) if real else (h, s)
        try:
            if orbitals:
                found, c = eigh(*given)
                vectors.append(c.astype(complex))
            else:
                found = eigvalsh(*given)
        except LinAlgError as error:
            raise _not_positive(s, k, error) from error
        energies.append(found)
    return Levels(points, np.array(energies), np.array(vectors) if orbitals else None)


def _small_levels(
    hamiltonian: OrbitalMatrix, overlap: OrbitalMatrix | None, points: Mesh, orbitals: bool
) -> Levels:
    """Of many k at once: with S = L L† the levels are those of L⁻¹ H L⁻†."""
    h = np.array(list(hamiltonian.at(points.points)))
    inverse = None
    if overlap is not None:
        s = np.array(list(overlap.at(points.points)))
        try:
            lower = np.linalg.cholesky(s)
        except np.linalg.LinAlgError as error:
            least = np.linalg.eigvalsh(s)[:, 0]
            worst = int(least.argmin())
            raise _not_positive(s[worst], points.points[worst], error) from error
        inverse = np.linalg.inv(lower)
        h = inverse @ h @ inverse.conj().transpose(0, 2, 1)
    if not orbitals:
        return Levels(points, np.linalg.eigvalsh(h))
    energies, c = np.linalg.eigh(h)
    if inverse is not None:
        c = inverse.conj().transpose(0, 2, 1) @ c
    return Levels(points, energies, c)


def _not_positive(s: Complex | None, k: Floats, error: Exception) -> ConvergenceError:
    if s is None:
        return ConvergenceError(f"levels at k = {k.tolist()}: {error}")
    least = float(np.linalg.eigvalsh(s)[0])
    return ConvergenceError(
        f"levels at k = {np.round(k, 6).tolist()}: the overlap is not positive definite: its "
        f"smallest eigenvalue is {least:.3g}; is the structure like those of the fit?"
    )


def levels_near(
    hamiltonian: OrbitalMatrix,
    overlap: OrbitalMatrix | None,
    k: Floats,
    energy: float,
    count: int,
) -> Floats:
    """The levels nearest to an energy, of large cells, by shift and invert.

    Args:
        hamiltonian: H(T) in eV.
        overlap: S(T); None: orthonormal orbitals.
        k: in units of the reciprocal lattice vectors, shape (3,).
        energy: in eV.
        count: how many, fewer than there are.

    Returns:
        Levels in eV, ascending, shape (count,).

    Raises:
        InputError: too many.
        ConvergenceError: they were not found.
    """
    if not 1 <= count < hamiltonian.size - 1:
        raise InputError(f"count: expected 1 to {hamiltonian.size - 2}, got {count}")
    s = None if overlap is None else overlap.sparse(k).tocsc()
    try:
        found = eigsh(
            hamiltonian.sparse(k).tocsc(), count, s, sigma=energy, which="LM",
            return_eigenvectors=False,
        )  # fmt: skip
    except (ArpackError, RuntimeError) as error:
        raise ConvergenceError(f"levels near {energy:g} eV: {error}") from error
    return np.sort(found)


def occupations(energies: Floats, fermi: float, temperature: float) -> Floats:
    """Occupations f of levels: 1 full, 0 empty.

    Args:
        energies: in eV.
        fermi: μ in eV.
        temperature: of the electrons in K.
    """
    return np.asarray(expit(-(energies - fermi) / (BOLTZMANN * temperature)))


def fermi_level(found: Levels, electrons: float, temperature: float) -> float:
    """μ at which the levels hold the electrons, in eV.

    Args:
        found: levels of all k.
        electrons: in the cell, two a level.
        temperature: of the electrons in K, above 0.

    Raises:
        InputError: more electrons than levels hold, or none.
    """
    most = 2 * found.energies.shape[1]
    if not 0 < electrons < most or not temperature > 0:
        raise InputError(
            f"electrons: expected more than 0 and fewer than {most} at a temperature above 0 K, "
            f"got {electrons:g} at {temperature:g} K"
        )
    width = _FAR * BOLTZMANN * temperature
    low, high = found.energies.min() - width, found.energies.max() + width
    weights = 2 * found.mesh.weights[:, None]
    while high - low > max(_SHARP, 4 * np.spacing(max(abs(low), abs(high)))):
        middle = (low + high) / 2
        held = (weights * occupations(found.energies, middle, temperature)).sum()
        low, high = (middle, high) if held < electrons else (low, middle)
    return float((low + high) / 2)


@dataclass(frozen=True, eq=False)
class Electrons:
    """How electrons fill levels.

    Args:
        fermi: μ in eV.
        occupations: f, shape (nk, levels).
        band_energy: Σ 2 f ε in eV.
        free_energy: A = E_band - T S in eV.
        gap: lowest empty less highest full level in eV, 0 where bands overlap at μ.
    """

    fermi: float
    occupations: Floats
    band_energy: float
    free_energy: float
    gap: float


def filled(found: Levels, electrons: float, temperature: float) -> Electrons:
    """Fill the levels with electrons.

    Args:
        found: levels of all k.
        electrons: in the cell.
        temperature: of the electrons in K.
    """
    fermi = fermi_level(found, electrons, temperature)
    f = occupations(found.energies, fermi, temperature)
    weights = 2 * found.mesh.weights[:, None]
    band = float((weights * f * found.energies).sum())
    entropy = BOLTZMANN * float((weights * (entr(f) + entr(1 - f))).sum())
    full, empty = found.energies[f > 0.5], found.energies[f <= 0.5]
    gap = float(empty.min() - full.max()) if len(full) and len(empty) else 0.0
    return Electrons(fermi, f, band, band - temperature * entropy, max(gap, 0.0))


def density_of_states(found: Levels, at: Floats, width: float) -> Floats:
    """Density of states, averaged over bins, with a Gaussian for each level.

    DOS(E) = Σ_k w_k Σ_n [erf((E - ε + Δ/2)/(√2 σ)) - erf((E - ε - Δ/2)/(√2 σ))] / Δ, two
    electrons a level; Δ is the distance of the energies.

    Args:
        found: levels of all k.
        at: energies in eV, equidistant, shape (m,).
        width: σ in eV.

    Returns:
        States per eV and cell, shape (m,).
    """
    step = float(at[1] - at[0])
    made = np.zeros(len(at))
    for weight, energies in zip(found.mesh.weights, found.energies, strict=True):
        away = (at[:, None] - energies) / (np.sqrt(2) * width)
        half = step / (2 * np.sqrt(2) * width)
        made += weight * (erf(away + half) - erf(away - half)).sum(axis=1) / step
    return made


@dataclass(frozen=True, eq=False)
class Densities:
    """ρ_ij(T) and W_ij(T) on the blocks of a matrix: what dA is made of.

    Args:
        density: by atomic numbers, shape (N, o, o): dA = Σ ρ_ij(T) · dH_ij(T) - W_ij(T) · dS_ij(T).
        energy_density: W likewise, on the blocks of the overlap.
        populations: Mulliken populations Re(ρ S)_ii summed over the orbitals of each atom.
    """

    density: dict[tuple[int, int], Floats]
    energy_density: dict[tuple[int, int], Floats]
    populations: Floats


def densities(
    hamiltonian: OrbitalMatrix,
    overlap: OrbitalMatrix | None,
    found: Levels,
    electrons: Electrons,
) -> Densities:
    """Density matrices in real space, on the blocks that the matrices have.

    Args:
        hamiltonian: H(T), whose blocks are wanted.
        overlap: S(T) likewise.
        found: levels with orbitals, of a mesh.
        electrons: their occupations.
    """
    if found.orbitals is None:
        raise InputError("levels: expected orbitals; use levels(…, orbitals=True)")
    size = hamiltonian.size
    rho = _Folded(hamiltonian)
    energy = None if overlap is None else _Folded(overlap)
    populations = np.zeros(size)
    metrics = overlap.at(found.mesh.points) if overlap is not None else None
    for number, k in enumerate(found.mesh.points):
        c, f = found.orbitals[number], electrons.occupations[number]
        weight = 2 * found.mesh.weights[number]
        used = f > 0
        filled_c = c[:, used]
        density = weight * (filled_c * f[used]) @ filled_c.conj().T
        rho.add(density, k)
        if energy is not None and metrics is not None:
            weighted = f[used] * found.energies[number, used]
            energy.add(weight * (filled_c * weighted) @ filled_c.conj().T, k)
            populations += np.einsum("ij,ji->i", density, next(metrics)).real
        else:
            populations += np.diag(density).real
    atoms = np.add.reduceat(populations, hamiltonian.offsets[:-1])
    other = {} if energy is None else energy.blocks()
    return Densities(rho.blocks(), other, atoms)


class _Folded:
    """Σ_k Re[D(k) exp(2πi k·T)] on the blocks of a matrix.

    H(k)_ij = Σ_T e^{2πi k·T} H_ij(T), so ∂A/∂H_ij(T) = Re Σ_k D(k)_ji e^{2πi k·T}.
    """

    def __init__(self, matrix: OrbitalMatrix) -> None:
        self._matrix = matrix
        self._made = {pair: np.zeros_like(one.values) for pair, one in matrix.pairs.items()}

    def add(self, density: Complex, k: Floats) -> None:
        """Add what one k gives."""
        matrix = self._matrix
        turned = np.ascontiguousarray(density.T)
        for pair, one in matrix.pairs.items():
            rows = matrix.offsets[one.index[:, 0], None] + np.arange(one.values.shape[1])
            columns = matrix.offsets[one.index[:, 1], None] + np.arange(one.values.shape[2])
            block = turned[rows[:, :, None], columns[:, None, :]]
            phase = np.exp(2j * np.pi * (one.index[:, 2:] @ k))
            self._made[pair] += (phase[:, None, None] * block).real

    def blocks(self) -> dict[tuple[int, int], NDArray[np.float64]]:
        """What was added, by atomic numbers."""
        return self._made
