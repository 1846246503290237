"""The numbers that were stored with the frozen files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import measure
import numpy as np
import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def same_arithmetic() -> bool:
    """Whether numpy, scipy and the compiler round here as where the numbers were made.

    They were made with OMP_NUM_THREADS=1: matrix products of several threads round differently.
    """
    if os.environ.get("OMP_NUM_THREADS") != "1":
        return False
    with np.load(DATA / "numbers.npz") as file:
        return str(file["arithmetic"]) == measure.arithmetic()


@pytest.fixture(scope="session")
def stored_numbers() -> dict[str, np.ndarray]:
    """What the earlier code said, by "file/evaluator"."""
    with np.load(DATA / "numbers.npz") as file:
        rows = np.split(file["rows"], np.cumsum(file["lengths"])[:-1])
        return {name: rows[k] for name, k in json.loads(str(file["index"])).items()}


@pytest.fixture(scope="session")
def stored_fits() -> dict[str, np.ndarray]:
    """What the earlier code fitted, by "name/what"."""
    with np.load(DATA / "fits.npz") as file:
        return dict(file)
