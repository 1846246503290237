"""Laws of engines of `acepot md`.

    class TestVerlet(EngineLaws):
        kind = verlet_engine.ENGINE

Each law is a run of eight silicon atoms, a second or two.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.evaluate.protocol import Floats
from acepot.io.modelfile import save
from acepot.io.structures.extxyz import write_structures
from acepot.md import log
from acepot.md.config import Ensemble, MDConfig, Output, Run, Start
from acepot.md.engine import EngineKind
from acepot.md.simulation import simulate
from acepot.model import Model
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.suites.solvers import hold

__all__ = ["EngineLaws"]

_CUBIC = np.array(
    [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
)
_EVERY = 10
_LOG = "log.csv"


class EngineLaws:
    """What an engine promises that steps at constant energy.

    A subclass sets `kind`. Tests take pytest's `tmp_path`.
    """

    kind: EngineKind
    #: Step in fs, and eV/atom by which energies of the model and of the engine may differ.
    timestep, exact = 0.5, 1e-8

    def structure(self) -> Structure:
        """Silicon, shaken."""
        rng = np.random.default_rng(2)
        places = 5.43 / 4 * _CUBIC + 0.05 * rng.normal(size=(8, 3))
        return Structure(np.full(8, 14), places, 5.43 * np.eye(3), True)

    def model(self) -> Model:
        """Atoms that repel each other, and some many-body terms."""
        spec = resolve(BasisSpec(("Si",), order=2, degree=4.0, cutoff=4.5, r0=2.4))
        size = spec.expansion().size
        return Model(spec, 0.05 * np.random.default_rng(1).normal(size=size), np.array([-100.0]))

    def config(self, folder: Path, steps: int) -> MDConfig:
        """A run at constant energy, its files in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        save(self.model(), folder / "model.acepot")
        write_structures(folder / "start.extxyz", [self.structure()])
        return MDConfig(
            str(folder / "model.acepot"),
            Start(file=str(folder / "start.extxyz")),
            Ensemble(temperature=300.0, kind="nve"),
            Run(steps=steps, timestep=self.timestep, seed=3, threads=1),
            Output(every=_EVERY, checkpoint=2 * _EVERY),
        )

    def run(self, folder: Path, steps: int, out: str = "run") -> dict[str, Floats]:
        """The columns of the log of a run, which goes on if there is one."""
        said: list[str] = []
        simulate(self.config(folder, steps), folder / out, self.kind, say=said.append, plots=False)
        return log.read(folder / out / _LOG)

    def test_the_first_energy_is_that_of_the_model(self, tmp_path: Path) -> None:
        """Units, cell and elements reach the evaluator as they are."""
        found = self.run(tmp_path, 2 * _EVERY)["potential_eV"][0]
        energy = Potential(self.model(), threads=1).compute(self.structure()).energy
        hold(abs(found - energy) <= 8 * self.exact, f"{found} eV, the model says {energy}")

    def test_energy_is_conserved(self, tmp_path: Path) -> None:
        """To a fiftieth of what kinetic and potential energy exchange."""
        columns = self.run(tmp_path, 40 * _EVERY)
        drift, exchanged = np.ptp(columns["total_eV"]), np.ptp(columns["kinetic_eV"])
        hold(exchanged > 1e-3, "nothing moves")
        hold(drift < 0.02 * exchanged, f"{drift:.1e} eV of {exchanged:.1e}")

    def test_the_log_has_every_row_once(self, tmp_path: Path) -> None:
        """From step 0 to the last."""
        steps = self.run(tmp_path, 6 * _EVERY)["step"].tolist()
        hold(steps == list(range(0, 6 * _EVERY + 1, _EVERY)), f"steps {steps}")

    def test_a_run_that_goes_on_is_the_same_bit_by_bit(self, tmp_path: Path) -> None:
        """Its state holds everything that the next step depends on."""
        self.run(tmp_path, 8 * _EVERY, "whole")
        self.run(tmp_path, 4 * _EVERY, "parts")
        self.run(tmp_path, 8 * _EVERY, "parts")
        whole, parts = (
            (tmp_path / out / _LOG).read_text(encoding="utf-8") for out in ("whole", "parts")
        )
        hold(whole == parts, "the logs differ")

    def test_a_shorter_step_conserves_better(self, tmp_path: Path) -> None:
        """By four, as of second order: forces are those of the energy."""
        drifts = []
        for number, step in enumerate((2.0, 1.0)):
            other = type(self)()
            other.timestep = step * self.timestep
            columns = other.run(tmp_path / str(number), int(40 * _EVERY / step))
            drifts.append(float(np.std(columns["total_eV"])))
        hold(drifts[1] < 0.5 * drifts[0], f"{drifts[0]:.1e} eV, {drifts[1]:.1e} with half the step")
