"""Models of friction in `acepot md`: bit-exact restarts, held atoms, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from md_runs import MODEL, Simulation

import acepot
from acepot.basis.spec import BasisSpec
from acepot.friction.evaluator import shapes_of
from acepot.friction.fit import filled
from acepot.friction.settings import CouplingSettings, empty_part
from acepot.model import FrictionModel

TOML = """
model = "{model}"
[structure]
file = "start.extxyz"
[ensemble]
temperature = 800
friction_model = "friction.acepot"
{more}
[run]
steps = {steps}
timestep = 1
seed = 3
[output]
every = 10
checkpoint = 20
"""
ENGINES = ["ase", "openmm", "ipi"]


def friction(momentum: str = "conserved") -> FrictionModel:
    """A pair-wise coupling of silicon, strong at short distances."""
    settings = CouplingSettings(
        "pair-wise", "vector", momentum, 2, basis=BasisSpec(order=1, degree=0.0, wl=1.0)
    )
    bonds = replace(settings.bonds, degree=3, max_l=1, cutoff=3.5, r0=2.4)
    part = empty_part(replace(settings, bonds=bonds), ["Si"])
    c = np.random.default_rng(1).normal(size=(sum(shapes_of(part)), 2))
    return FrictionModel((filled(part, 0.5 * c),))


def simulation(folder: Path, steps: int = 40, more: str = "", fixed: bool = False) -> Simulation:
    """Eight silicon atoms."""
    acepot.save(friction(), folder / "friction.acepot")
    random = np.random.default_rng(2)
    atoms = np.array(
        [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
    )
    places = atoms * 5.43 / 4 + 0.1 * random.normal(size=(8, 3))
    held = np.arange(8) == 0 if fixed else None
    start = acepot.Structure(
        np.full(8, 14), places, 5.43 * np.eye(3), True, **({"fixed": held} if fixed else {})
    )
    acepot.write_structures(folder / "start.extxyz", [start])
    toml = folder / "md.toml"
    toml.write_text(TOML.format(model=MODEL, steps=steps, more=more))
    return Simulation(toml)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_goes_on_is_the_same_bit_by_bit(engine, tmp_path):
    pytest.importorskip(engine)
    whole = simulation(tmp_path, 40)
    whole.finish(engine, "whole")
    short = simulation(tmp_path, 20)
    short.finish(engine, "parts")
    simulation(tmp_path, 40).finish(engine, "parts")
    one, other = ((tmp_path / out / "last.extxyz").read_bytes() for out in ("whole", "parts"))
    assert one == other


@pytest.mark.parametrize(
    "engine", [pytest.param(one, marks=[pytest.mark.slow] * (one == "ipi")) for one in ENGINES]
)
def test_the_temperature_is_that_of_the_ensemble(engine, tmp_path):
    pytest.importorskip(engine)
    log = simulation(tmp_path, 600).finish(engine, "run")
    kelvin = next(log[key] for key in log if key.startswith("temperature"))
    assert 500 < kelvin[20:].mean() < 1100


@pytest.mark.parametrize("engine", ENGINES)
def test_momentum_is_conserved_in_an_engine(engine, tmp_path):
    """At the start it is not zero: what the noise adds is seen in its change."""
    pytest.importorskip(engine)
    runs = simulation(tmp_path, 20)
    runs.finish(engine, "run")
    momenta = []
    for steps in (20, 40):
        simulation(tmp_path, steps).finish(engine, "run")
        lines = (tmp_path / "run" / "last.extxyz").read_text().splitlines()[2:]
        momenta.append(np.array([line.split()[4:7] for line in lines], dtype=float))
    change = momenta[1].sum(axis=0) - momenta[0].sum(axis=0)
    assert np.abs(change).max() < 1e-10 * np.abs(momenta[0]).sum()
    assert np.abs(momenta[1] - momenta[0]).max() > 0.1 * np.abs(momenta[0]).max()


@pytest.mark.parametrize("engine", ENGINES)
def test_fixed_atoms_stay(engine, tmp_path):
    pytest.importorskip(engine)
    runs = simulation(tmp_path, 20, fixed=True)
    runs.finish(engine, "run")
    last, _ = acepot.read_structures(tmp_path / "run" / "last.extxyz")
    start, _ = acepot.read_structures(tmp_path / "start.extxyz")
    away = last[0].positions - start[0].positions
    assert np.abs(away[0]).max() < 1e-12 and np.abs(away[1:]).max() > 1e-3


def test_what_cannot_be_is_refused(tmp_path):
    for more, text in (
        ('kind = "npt"', "friction_model: expected kind = 'nvt'"),
        ('friction_step = "Cayley"', "friction_step: expected one of"),
    ):
        done = simulation(tmp_path, more=more).run("ase", "run")
        assert done.status == 1 and text in done.stderr, done.stderr
    pytest.importorskip("lammps")
    done = simulation(tmp_path).run("lammps", "run")
    assert done.status == 1 and "friction_model: the engine lammps cannot use one" in done.stderr
    acepot.save(acepot.load(MODEL), tmp_path / "friction.acepot")
    toml = tmp_path / "md.toml"
    done = Simulation(toml).run("ase", "wrong")
    assert done.status == 1 and "expected a FrictionModel" in done.stderr
