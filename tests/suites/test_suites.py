"""The suites hold every solver and engine, take new ones in a few lines, and find broken ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import verlet_engine
from md_runs import PACKAGES

from acepot.fitting.problem import Problem
from acepot.fitting.solvers import BLR, QR, Scaled, Solver, State
from acepot.md import engines
from acepot.md.engine import EngineKind
from acepot.suites.engines import EngineLaws
from acepot.suites.solvers import SolverLaws

OWN = sorted(set(Solver.kinds) - {"sklearn"})  # which needs an estimator


class TestOurSolvers(SolverLaws):
    """Every solver that comes with acepot."""

    @pytest.fixture(autouse=True, params=OWN)
    def _each(self, request: pytest.FixtureRequest) -> None:
        self.solver = Solver.kinds[request.param]()


class TestOurEngines(EngineLaws):
    """Every engine that comes with acepot."""

    @pytest.fixture(autouse=True, params=sorted(PACKAGES))
    def _each(self, request: pytest.FixtureRequest) -> None:
        pytest.importorskip(PACKAGES[request.param])
        type(self).kind = engines.engine(request.param)


# ------------------------------------------------------------------ new ones


@dataclass(frozen=True)
class Damped(Scaled, kind="damped for a test"):
    """QR with a damping of its own."""

    damping: float = 1e-9

    def prepare(self, problem: Problem) -> State:
        """As `Scaled`."""
        return QR(self.damping).factorise(problem, np.ones(problem.columns))


#: Known while the tests here run, and to no other test.
ADDED = {kind: Solver.kinds.pop(kind) for kind in [Damped.kind]}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Solver, "kinds", {**Solver.kinds, **ADDED})


class TestDamped(SolverLaws):
    solver = Damped()


class TestVerlet(EngineLaws):
    kind = verlet_engine.ENGINE


# ------------------------------------------------------------------ broken ones


@dataclass(frozen=True)
class Forgetful(Scaled, kind="forgetful for a test"):
    """Loses the last coefficient."""

    def prepare(self, problem: Problem) -> State:
        """As `Scaled`."""
        inner = BLR().factorise(problem, np.ones(problem.columns))

        class Less:
            def solve(self, other: Problem | None = None, *, damping: float | None = None) -> Any:
                found = inner.solve(other, damping=damping)
                c = found.coefficients.copy()
                c[-1] = 0.0
                return replace(found, coefficients=c, claimed=None)

        return Less()


Solver.kinds.pop(Forgetful.kind)


def test_a_solver_that_loses_a_coefficient_is_found() -> None:
    laws = SolverLaws()
    laws.solver = Forgetful()
    with pytest.raises(AssertionError, match="of exact data"):
        laws.test_exact_data_are_described()
    with pytest.raises(AssertionError, match="not "):
        laws.test_the_report_is_json_and_says_what_is_left()


class Lame(verlet_engine.Verlet):
    """Forgets its velocities when it is saved, and has forces a tenth too large."""

    def save(self, path: Any) -> None:
        with path.open("wb") as file:
            np.savez(file, positions=self._positions, velocities=0 * self._velocities)

    def _compute(self) -> Any:
        found = super()._compute()
        return replace(found, forces=1.1 * found.forces)


@pytest.mark.parametrize(
    ("law", "words"),
    [
        ("test_energy_is_conserved", "eV of"),
        ("test_a_run_that_goes_on_is_the_same_bit_by_bit", "the logs differ"),
        ("test_a_shorter_step_conserves_better", "with half the step"),
    ],
)
def test_an_engine_that_errs_is_found(law: str, words: str, tmp_path: Any) -> None:
    class Laws(EngineLaws):
        kind = EngineKind("lame", "trajectory.txt", Lame)

    with pytest.raises(AssertionError, match=words):
        getattr(Laws(), law)(tmp_path)
