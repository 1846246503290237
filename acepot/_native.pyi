"""Types of the compiled evaluator (native/python/bindings.cpp)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

def instruction_sets() -> list[str]: ...
def built_instruction_sets() -> list[str]: ...
def keep_apart(
    chosen: NDArray[np.bool_],
    numbers: NDArray[np.int64],
    positions: Floats,
    cells: Floats,
    periodic: bool,
    least: Floats,
) -> None: ...
def gaussian_matrix(positions: Floats, widths: Floats) -> Floats: ...
def gaussian_slopes(positions: Floats, widths: Floats) -> Floats: ...
def gaussian_pull(
    positions: Floats, widths: Floats, left: Floats, right: Floats
) -> tuple[Floats, Floats]: ...

class ScreenedPairs:
    def __init__(
        self,
        positions: Floats,
        kinds: NDArray[np.int32],
        widths: Floats,
        cell: Floats,
        inverse: Floats,
        reach: Floats,
        sigma: float,
    ) -> None: ...
    def arrays(self) -> tuple[NDArray[np.int64], Floats, Floats, Floats]: ...
    def within(self, distance: float) -> ScreenedPairs: ...
    def product(self, charges: Floats) -> Floats: ...
    def pull(self, left: Floats, right: Floats) -> tuple[Floats, Floats]: ...

class MeshSplines:
    def __init__(self, fractions: Floats, shape: NDArray[np.int32], order: int) -> None: ...
    def spread(self, charges: Floats) -> Floats: ...
    def gather(self, mesh: Floats) -> Floats: ...
    def gather_slopes(self, mesh: Floats) -> Floats: ...

class Evaluator:
    def __init__(self, tables: bytes, instruction_set: str, precision: str = "double") -> None: ...
    @property
    def instruction_set(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def is_energy(self) -> bool: ...
    def evaluate(
        self,
        positions: Floats,
        species: NDArray[np.int32],
        first: NDArray[np.int64],
        cells: Floats,
        pbc: NDArray[np.int32],
        threads: int,
        outputs: int,
        energies: Floats | None,
        forces: Floats | None,
        virials: Floats | None,
        virial: Floats | None,
        weights: Floats | None = None,
    ) -> list[tuple[int, str]]: ...
    def evaluate_one(
        self,
        positions: Floats,
        species: NDArray[np.int32],
        cell: Floats,
        pbc: NDArray[np.int32],
        threads: int,
    ) -> tuple[Floats, Floats, Floats]: ...
    def values(
        self,
        positions: Floats,
        species: NDArray[np.int32],
        first: NDArray[np.int64],
        cells: Floats,
        pbc: NDArray[np.int32],
        threads: int,
        out: Floats,
    ) -> list[tuple[int, str]]: ...
    def jvp(
        self,
        positions: Floats,
        species: NDArray[np.int32],
        first: NDArray[np.int64],
        cells: Floats,
        pbc: NDArray[np.int32],
        threads: int,
        displacements: Floats,
        strains: Floats,
        out: Floats,
    ) -> list[tuple[int, str]]: ...
    def pullback(
        self,
        positions: Floats,
        species: NDArray[np.int32],
        first: NDArray[np.int64],
        cells: Floats,
        pbc: NDArray[np.int32],
        threads: int,
        adjoints: Floats,
        forces: Floats | None,
        virials: Floats | None,
    ) -> list[tuple[int, str]]: ...
    def evaluate_list(
        self,
        positions: Floats,
        species: NDArray[np.int32],
        first: NDArray[np.int64],
        neighbours: NDArray[np.int32],
        threads: int,
        outputs: int,
    ) -> tuple[Floats, Floats, Floats]: ...

class RowBuilder:
    def __init__(self, tables: bytes, instruction_set: str) -> None: ...
    @property
    def instruction_set(self) -> str: ...
    @property
    def functions(self) -> int: ...
    def fill(
        self,
        positions: Floats,
        species: NDArray[np.int32],
        cell: Floats,
        pbc: NDArray[np.int32],
        threads: int,
        out: Floats,
        energy: int,
        forces: int,
        virial: int,
    ) -> None: ...
