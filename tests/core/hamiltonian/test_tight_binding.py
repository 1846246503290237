"""A Hamiltonian with its repulsion: the truth of such a model is recovered, and moves in ASE."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.choices import Pair, resolve
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.hamiltonian.tight_binding import TightBinding, fit_repulsion
from acepot.lowering import lower
from acepot.model import Model
from acepot.orbitals import Filling
from acepot.structure import Structure

FILLING = Filling(kmesh=(2, 1, 2), temperature=1500.0)
BASIS = BasisSpec(("O", "Si"), order=2, degree=4.0, wl=1.0, cutoff=3.6, pair=Pair(degree=3))


@pytest.fixture(scope="module")
def truth(hamiltonian_model, lean):
    rng = np.random.default_rng(31)
    basis = resolve(BASIS)
    count = lower(basis).functions
    repulsion = Model(basis, rng.normal(size=count) / count, np.array([-3.0, -5.0]))
    model = hamiltonian_model({"O": "sp", "Si": "sp"}, 30, settings=lean)
    return replace(model, repulsion=repulsion, filling=FILLING)


@pytest.fixture(scope="module")
def data(truth, structures_of) -> list[Structure]:
    rng, found = np.random.default_rng(32), []
    start = structures_of((8, 14))["triclinic"]
    evaluator = TightBinding(truth, threads=1)
    for _ in range(24):
        change = np.eye(3) + rng.normal(0, 0.03, (3, 3))
        places = start.positions @ change + rng.normal(0, 0.06, start.positions.shape)
        numbers = rng.permutation(start.numbers)
        one = Structure(numbers, places, start.cell @ change, True)
        made = evaluator.evaluate(one)
        labels = {"energy": made.energy, "forces": made.forces, "virial": made.virial}
        found.append(replace(one, **labels))
    return found


def test_a_repulsion_in_the_span_is_recovered(truth, data):
    alone = replace(truth, repulsion=None)
    e0 = {"O": -3.0, "Si": -5.0}
    made, fitted = fit_repulsion(
        alone, data[:20], BASIS,
        solver={"kind": "qr", "damping": 1e-10}, e0=e0, restraint={"weight": 0.0}, threads=1,
    )  # fmt: skip
    assert made.repulsion is not None and fitted.model is made.repulsion
    evaluator = TightBinding(made, threads=1)
    for one in data[20:]:
        found = evaluator.evaluate(one)
        assert found.energy == pytest.approx(one.energy, abs=1e-7)
        np.testing.assert_allclose(found.forces, one.forces, atol=1e-6)
        np.testing.assert_allclose(found.virial, one.virial, atol=1e-6)


def test_the_model_is_one_file_and_runs_in_ase(truth, data, tmp_path: Path):
    ase = pytest.importorskip("ase")
    from ase_ace import TightBindingCalculator

    path = tmp_path / "tb.acepot"
    acepot.save(truth, path)
    one = data[0]
    atoms = ase.Atoms(numbers=one.numbers, positions=one.positions, cell=one.cell, pbc=True)
    atoms.calc = TightBindingCalculator(path, threads=1)
    assert atoms.get_potential_energy() == pytest.approx(one.energy, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), one.forces, atol=1e-10)
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    np.testing.assert_allclose(virial, (one.virial + one.virial.T) / 2, atol=1e-10)
    assert atoms.calc.results["populations"].sum() == pytest.approx(4.0 * len(one), abs=1e-9)
    with pytest.raises(InputError, match="expected a HamiltonianModel or path, got int"):
        TightBindingCalculator(3)


def test_energy_is_conserved(truth, data):
    """Velocity Verlet over 100 steps: forces are the derivative of the energy that is reported."""
    pytest.importorskip("ase")
    from ase import Atoms, units
    from ase.md.verlet import VelocityVerlet

    from ase_ace import TightBindingCalculator

    def drift(step: float, count: int) -> float:
        one = data[1]
        atoms = Atoms(numbers=one.numbers, positions=one.positions, cell=one.cell, pbc=True)
        atoms.calc = TightBindingCalculator(truth, threads=1)
        rng = np.random.default_rng(33)
        atoms.set_momenta(rng.normal(0, 0.1, (len(one), 3)))
        dynamics = VelocityVerlet(atoms, step * units.fs)
        energies = [atoms.get_total_energy()]
        for _ in range(count):
            dynamics.run(1)
            energies.append(atoms.get_total_energy())
        return float(np.ptp(energies))

    coarse, fine = drift(0.2, 40), drift(0.1, 80)
    assert 0 < fine < 1e-3 * len(data[1])
    assert coarse / fine == pytest.approx(4.0, rel=0.25)  # of second order in the step


def test_molecular_dynamics_runs_it(truth, data, tmp_path: Path, monkeypatch):
    pytest.importorskip("ase")
    from acepot.cli.main import main

    monkeypatch.chdir(tmp_path)
    acepot.save(truth, "tb.acepot")
    acepot.write_structures("start.xyz", [replace(data[2], energy=None, forces=None, virial=None)])
    Path("md.toml").write_text(
        'model = "tb.acepot"\n[structure]\nfile = "start.xyz"\n[ensemble]\ntemperature = 100\n'
        "[run]\nsteps = 4\ntimestep = 0.2\n[output]\nevery = 2\n",
        encoding="utf-8",
    )
    assert main(["md", "md.toml", "--engine", "ase", "--out", "run", "--no-plots"]) == 0
    assert main(["info", "tb.acepot"]) == 0
    assert main(["md", "md.toml", "--engine", "openmm", "--out", "other", "--no-plots"]) == 1
