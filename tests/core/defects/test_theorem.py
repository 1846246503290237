"""The far field without any fit: a model that is wrong beyond a distance only."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """`benchmarks/defects.py`."""
    before = list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location(
            "defects_benchmark", BENCHMARKS / "defects.py"
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def test_errors_are_proportional_to_the_tail(benchmark: ModuleType) -> None:
    """Wrong force constants: to that of Du; right ones and wrong anharmonicity: of its square."""
    cell, rest, _ = benchmark.vacancy(8)
    u = rest.positions - cell.structure.positions
    for cubic, beyond, k, low, high in ((False, 3, 0.2, 0.06, 0.13), (True, 2, 2.0, 1.2, 2.2)):
        model = benchmark.Wrong(cell, beyond * benchmark.A0, k, cubic)
        found = benchmark.relaxed(model, rest, force=2e-7).structure
        tail = cell.norm(u, beyond * benchmark.A0 + 1e-6, 2 if cubic else 1)
        assert low < cell.norm(found.positions - rest.positions) / tail < high


def test_the_wrong_term_has_its_forces(benchmark: ModuleType) -> None:
    np = benchmark.np
    cell = benchmark.defect_cell(benchmark.UNIT, "vacancy", 4)
    rng = np.random.default_rng(0)
    start = cell.structure
    moved = start.moved(start.positions + rng.normal(scale=0.03, size=start.positions.shape))
    along = rng.normal(size=start.positions.shape)
    for cubic in (False, True):
        model = benchmark.Wrong(cell, 1.0, 3.0, cubic)
        ends = [
            model.compute(moved.moved(moved.positions + s * 1e-5 * along)).energy for s in (1, -1)
        ]
        slope = -(model.compute(moved).forces * along).sum()
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


def test_a_line_says_whether_it_is_as_it_must_be(benchmark: ModuleType) -> None:
    assert "NOT" in benchmark.judged("x", False) and "NOT" not in benchmark.judged("x", True)
    (line,) = benchmark.constants()
    assert "C44 160.61" in line and line.endswith("[as it must be]")
