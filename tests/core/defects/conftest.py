"""The closed-form tungsten of the benchmark."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tungsten() -> Any:
    """`benchmarks/finnis_sinclair.py`'s calculator."""
    path = Path(__file__).parents[3] / "benchmarks" / "finnis_sinclair.py"
    spec = importlib.util.spec_from_file_location("finnis_sinclair", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Tungsten()
