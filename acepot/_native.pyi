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
