"""A times charges for many atoms: a mesh for the smooth part of A, pairs of atoms for the rest.

The charges are spread over the points of a mesh by B-splines of order p (Essmann et al., J. Chem.
Phys. 103, 8577 (1995)); the mesh is multiplied by the influence function of Hockney and Eastwood,

    G(k) = U(k)² (4π k_e/V) exp(-k² σ²)/k² / (Σ_m U(k + m)²)²,     U = Π_x sinc(k_x h_x/2)^p

in reciprocal space, and what comes back is gathered by the same splines. So the energy is a smooth
function of the positions, whose exact derivatives the forces are: the mesh costs accuracy, but no
conservation of energy. The pairs, and σ, are those of `ewald`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from acepot.charges.ewald import Pairs, refusing
from acepot.errors import InputError
from acepot.evaluate.extension import extension
from acepot.evaluate.protocol import Floats
from acepot.run.memory import free_memory
from acepot.structure import Structure
from acepot.units import COULOMB

__all__ = ["Mesh"]

_PI = float(np.sqrt(np.pi))
#: Order of the splines; distance of mesh points in units of σ; what pairs leave out.
ORDER, SPACING, ACCURACY = 8, 0.5, 1e-10
#: σ in Å: pairs then end where the lists of the models do, or a little beyond.
SIGMA = 1.2
#: Bytes of an atom's splines over their order: six numbers, and as much for the pairs it has.
_EACH = 100
#: Points of a mesh: 2 GB; of one whose waves are kept for the next structure: 40 MB.
_MOST, _KEPT = 2**28, 2**20


class Mesh:
    """The products of A of one structure.

    Args:
        structure: atoms and a cell that repeats in three directions.
        widths: s of every atom in Å, shape (n,); 0: points.
        threads: of the Fourier transforms.
        sigma: σ in Å.
        spacing: largest distance of mesh points along lattice vectors, in units of σ.
        order: p of the splines, even.
        pairs: of the same structure, widths and σ, where they are there.

    Raises:
        InputError: the mesh would have too many points, or the splines need too much memory.
    """

    def __init__(
        self,
        structure: Structure,
        widths: Floats,
        threads: int = 1,
        *,
        sigma: float = SIGMA,
        spacing: float = SPACING,
        order: int = ORDER,
        pairs: Pairs | None = None,
    ) -> None:
        self._n, self._threads, self._order = len(structure), threads, order
        self._volume, self._sigma = structure.volume, sigma
        # Planes of mesh points are as far apart as the heights of the cell allow.
        inverse = np.asarray(np.linalg.inv(structure.cell), dtype=float)
        self._check_memory()
        heights = 1 / np.linalg.norm(inverse, axis=0)
        wanted = np.maximum(np.ceil(heights / (spacing * sigma)), order)
        if float(np.prod(wanted)) > _MOST:
            raise InputError(
                f"cell: a mesh of {np.prod(wanted):.3g} points, expected up to {_MOST:.0e}"
            )
        self._shape = tuple(fft.next_fast_len(int(m), real=True) for m in wanted)
        self._inverse = inverse
        self._splines = refusing(
            extension().MeshSplines, structure.positions @ inverse,
            np.array(self._shape, dtype=np.int32), order,
        )  # fmt: skip
        make = _influence if float(np.prod(wanted)) <= _KEPT else _influence.__wrapped__
        self._waves = make(self._shape, inverse.tobytes(), self._volume, sigma, order)
        self.pairs = Pairs(structure, widths, sigma, ACCURACY) if pairs is None else pairs
        own = np.divide(1, widths * _PI, out=np.zeros(self._n), where=widths > 0)
        self._own = own - 1 / (sigma * _PI)
        self._square = 2 * np.pi / self._volume * (widths**2 - sigma**2)

    def _check_memory(self) -> None:
        """Refuse more atoms than there is memory for their splines."""
        needed, free = self._n * self._order * _EACH, free_memory()
        if free is not None and needed > free:
            raise InputError(
                f"charges of {self._n} atoms: expected {needed / 1e9:.1f} GB of free memory, got "
                f"{free / 1e9:.1f} GB"
            )

    @property
    def diagonal(self) -> Floats:
        """A_ii but for what images of the atom have, in eV/e², shape (n,)."""
        return COULOMB * (self._own + 1 / (self._sigma * _PI))

    def _potential(self, charges: Floats) -> tuple[NDArray[np.complex128], Floats]:
        """The waves of the charges, and their smooth potential on the mesh over k_e."""
        mesh = self._splines.spread(np.ascontiguousarray(charges))
        waves = fft.rfftn(mesh, workers=self._threads)
        back = fft.irfftn(
            waves * self._waves.kernel, self._shape, norm="forward", workers=self._threads
        )
        return waves, back

    def product(self, charges: Floats) -> Floats:
        """A q in eV/e.

        Args:
            charges: q in e, shape (n,).
        """
        _, potential = self._potential(charges)
        found = self._splines.gather(potential) + self.pairs.product(charges)
        found += self._own * charges
        found += self._square * charges.sum() + float(self._square @ charges)
        return COULOMB * np.asarray(found)

    def pull(self, charges: Floats) -> tuple[Floats, Floats]:
        """Minus the derivatives of ½ qᵀ A q by the positions, and by the strain.

        Args:
            charges: q in e, shape (n,).

        Returns:
            Forces in eV/Å, shape (n, 3), and virial in eV, shape (3, 3).
        """
        waves, potential = self._potential(charges)
        slopes = self._splines.gather_slopes(potential)
        forces = -charges[:, None] * (slopes @ self._inverse.T)
        near, virial = self.pairs.pull(charges, charges)
        forces += 0.5 * near
        virial *= 0.5
        virial += self._strained(waves)
        total = float(charges.sum())
        virial += total * float(self._square @ charges) * np.eye(3)
        return COULOMB * forces, COULOMB * virial

    def _strained(self, waves: NDArray[np.complex128]) -> Floats:
        """The virial of the smooth part over k_e."""
        own = self._waves
        size = own.kernel * (waves.real**2 + waves.imag**2)
        size[:, :, 1:] *= 2.0  # both halves
        if self._shape[2] % 2 == 0:
            size[:, :, -1] *= 0.5
        energy = 0.5 * float(size.sum())
        factor = 2 / own.square + 2 * self._sigma**2
        size *= factor
        made = np.empty((3, 3))
        for a in range(3):
            for b in range(a, 3):
                made[a, b] = made[b, a] = -0.5 * float(
                    np.einsum("abc,abc,abc->", size, own.k[a], own.k[b], optimize=True)
                )
        return made + energy * np.eye(3)


@dataclass(frozen=True, eq=False)
class _Waves:
    """Half of the waves of a mesh.

    Args:
        k: components along x, y and z in 1/Å.
        square: k², 1 where k is 0.
        kernel: 4π exp(-k²σ²)/(k² V) with the splines taken out.
    """

    k: tuple[Floats, ...]
    square: Floats
    kernel: Floats


@lru_cache(maxsize=2)  # the two meshes of a run whose cell stays
def _influence(
    shape: tuple[int, ...], inverse: bytes, volume: float, sigma: float, order: int
) -> _Waves:
    lattice = np.frombuffer(inverse).reshape(3, 3)
    counts = [fft.fftfreq(m, 1 / m) for m in shape[:2]]
    counts.append(fft.rfftfreq(shape[2], 1 / shape[2]))
    h = np.meshgrid(*counts, indexing="ij")
    k = tuple(2 * np.pi * sum(h[a] * lattice[x, a] for a in range(3)) for x in range(3))
    square = k[0] ** 2 + k[1] ** 2 + k[2] ** 2
    square[0, 0, 0] = 1.0
    kernel = 4 * np.pi / volume * np.exp(-square * sigma**2) / square
    kernel[0, 0, 0] = 0.0
    for axis, (count, m) in enumerate(zip(counts, shape, strict=True)):
        own = np.sinc(count / m) ** (2 * order)
        along = [1, 1, 1]
        along[axis] = len(count)
        kernel *= (own / _aliases(count / m, order) ** 2).reshape(along)
    return _Waves(k, square, kernel)


def _aliases(frequency: Floats, order: int) -> Floats:
    """Σ_m sinc(f + m)^2p: the Fourier series of B-splines of order 2p at whole numbers."""
    p = 2 * order
    # In whole numbers of Python, which have no largest one.
    values = [
        sum((-1) ** j * comb(p, j) * (x - j) ** (p - 1) for j in range(x)) / factorial(p - 1)
        for x in range(1, p)
    ]
    waves = np.cos(2 * np.pi * np.multiply.outer(frequency, np.arange(1, p) - order))
    found = waves @ np.array(values)
    return np.asarray(found)
