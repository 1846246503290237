"""Coarse-graining: memory and friction of a process that is known, mappings, one command."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.friction.coarse.config import Mapping
from acepot.friction.coarse.memory import Windows, plateau, times_of
from acepot.friction.coarse.trajectory import Beads, read_beads, write_trajectory
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.report import kernel
from acepot.units import AMU, BOLTZMANN

INTERVAL, MEMORY, KELVIN, STRENGTH = 0.05, 0.3, 2000.0, 0.004  # fs, fs, K, amu/fs
KT = BOLTZMANN * KELVIN


def trimer(frames: int, seed: int) -> Beads:
    """Three particles that hardly move, with pair noise of known friction and memory.

    δF of a pair along its bond is an Ornstein–Uhlenbeck process with ∫⟨δF δF⟩ = 2 kT Γ.
    """
    random = np.random.default_rng(seed)
    base = np.array([[0, 0, 0], [2.0, 0, 0], [0.6, 1.9, 0]]) + random.normal(scale=0.2, size=(3, 3))
    decay = np.exp(-INTERVAL / MEMORY)
    size = np.sqrt(KT * STRENGTH * AMU / MEMORY)
    forces = np.zeros((frames, 3, 3))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        d = base[j] - base[i]
        unit, r = d / np.linalg.norm(d), np.linalg.norm(d)
        noise, value = random.normal(size=frames), random.normal()
        along = np.zeros(frames)
        for t in range(frames):
            value = decay * value + np.sqrt(1 - decay**2) * noise[t]
            along[t] = value
        strength = size * np.exp(-((r - 2.0) ** 2))
        forces[:, j] += strength * along[:, None] * unit
        forces[:, i] -= strength * along[:, None] * unit
    drift = np.cumsum(random.normal(scale=1e-5, size=(frames, 3, 3)), axis=0)
    return Beads(
        np.full(3, 18), np.full(3, 40.0), base + drift, forces, 20.0 * np.eye(3),
        np.ones(3, bool),
    )  # fmt: skip


def test_memory_time_and_plateau_are_those_of_the_process():
    beads = [trimer(20_000, seed) for seed in range(6)]
    forces = [one.forces for one in beads]
    times = times_of(beads, forces, INTERVAL)
    assert times.memory == pytest.approx(MEMORY, rel=0.1)
    _, sums = plateau(forces, INTERVAL, KELVIN, 60)
    data = Windows(beads, forces, INTERVAL, KELVIN, 40, 200)
    mean = np.mean([np.trace(one.gamma) for one in data]) / 9
    exact = np.mean(
        [
            2 * STRENGTH * np.exp(-2 * (np.linalg.norm(x[i] - x[j]) - 2.0) ** 2) / 9
            for x in (one.positions[0] for one in beads)
            for i, j in ((0, 1), (0, 2), (1, 2))
        ]
    )
    assert mean == pytest.approx(3 * exact, rel=0.05)
    assert sums[-1] == pytest.approx(3 * exact, rel=0.1)
    assert sums[5] < 0.75 * sums[-1]
    with pytest.raises(InputError, match="shorter than a window"):
        Windows(beads, forces, INTERVAL, KELVIN, 4000, 20_000)


def test_windows_are_momentum_conserving_and_symmetric():
    beads = trimer(2000, 3)
    one = Windows([beads], [beads.forces], INTERVAL, KELVIN, 40, 200)[2]
    np.testing.assert_array_equal(one.gamma, one.gamma.T)
    rows = one.gamma.reshape(9, 3, 3).sum(axis=1)
    assert np.abs(rows).max() < 1e-12 * np.abs(one.gamma).max()


def test_beads_are_centres_of_mass_across_the_border_of_a_cell(tmp_path):
    random = np.random.default_rng(4)
    numbers = np.array([6, 1, 1, 6, 1, 1])
    chain = np.array([[0, 0, 0], [1.1, 0, 0], [1.9, 0.7, 0]])
    whole = np.stack([chain, chain + [3.0, 2.0, 1.0]]).reshape(6, 3)
    moves = np.cumsum(random.normal(scale=0.3, size=(40, 2, 3)), axis=0)
    x = whole + np.repeat(moves, 3, axis=1)
    f = random.normal(size=x.shape)
    cell = 6.0 * np.eye(3) + 0.5 * random.normal(size=(3, 3))
    wrapped = x - np.floor(x @ np.linalg.inv(cell)) @ cell
    write_trajectory(tmp_path / "fine.npz", numbers, wrapped, f, cell)
    found = read_beads(tmp_path / "fine.npz", Mapping(3, "Ar"))
    mass = np.array([12.011, 1.008, 1.008])
    centres = np.einsum("tbac,a->tbc", x.reshape(40, 2, 3, 3), mass) / mass.sum()
    np.testing.assert_allclose(found.mass, mass.sum())
    np.testing.assert_allclose(found.forces, f.reshape(40, 2, 3, 3).sum(axis=2))
    np.testing.assert_allclose(np.diff(found.positions, axis=0), np.diff(centres, axis=0))
    away = (found.positions - centres) @ np.linalg.inv(cell)
    np.testing.assert_allclose(away, np.round(away), atol=1e-9)
    frames = [
        acepot.Structure(numbers, p, cell, True, forces=g) for p, g in zip(wrapped, f, strict=True)
    ]
    acepot.write_structures(tmp_path / "fine.xyz", frames)
    again = read_beads(tmp_path / "fine.xyz", Mapping(3, "Ar"))
    np.testing.assert_allclose(again.positions, found.positions, atol=1e-6)
    with pytest.raises(InputError, match="atoms_per_bead"):
        read_beads(tmp_path / "fine.npz", Mapping(4, "Ar"))
    with pytest.raises(InputError, match="expected an NPZ"):
        read_beads(tmp_path / "none.npz", Mapping())


def run(*words: str) -> tuple[int, str]:
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        status = main(list(words))
    return status, out.getvalue() + errors.getvalue()


TOML = """
timestep = 0.5
[fine]
files = [{files}]
interval = 0.05
temperature = 2000
[mapping]
mass = 40.0
[potential]
order = 1
degree = 3
cutoff = 4.0
r0 = 2.0
pair = {{degree = 0}}
[memory]
sweeps = 1
{more}
[friction]
weight = "none"
starts = 1
smoothness = 1e-3
[[friction.couplings]]
channels = 2
bonds = {{degree = 6, max_l = 1, cutoff = 4.0, r0 = 2.0}}
"""


@pytest.mark.slow
def test_one_command_makes_a_model_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("acepot.friction.coarse.command._MOST_FRAMES", 600)
    names = []
    for seed in range(20):
        beads, name = trimer(1500, seed), f"fine-{seed}.npz"
        write_trajectory(tmp_path / name, beads.numbers, beads.positions, beads.forces, beads.cell)
        names.append(f'"{name}"')
    toml = tmp_path / "coarse.toml"
    toml.write_text(TOML.format(files=", ".join(names), more="separation = 0.0"))
    status, text = run("friction", "coarse", str(toml), "--out", str(tmp_path / "out"))
    assert status == 0, text
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert told["times"]["memory"] == pytest.approx(MEMORY, rel=0.2)
    found = acepot.load(tmp_path / "out" / "friction.acepot", acepot.FrictionModel)
    assert found.conserves_momentum
    r = np.array([1.8, 2.0, 2.2])
    along, _ = kernel(FrictionEvaluator(found), "Ar", "Ar", r)
    np.testing.assert_allclose(along, STRENGTH * np.exp(-2 * (r - 2.0) ** 2), rtol=0.3)
    pytest.importorskip("ase")
    md = tmp_path / "out" / "md.toml"
    md.write_text(md.read_text().replace("10000", "100").replace("every = 100", "every = 10"))
    status, text = run(
        "md", str(md), "--engine", "ase", "--out", str(tmp_path / "run"), "--no-plots"
    )
    assert status == 0, text
    toml.write_text(TOML.format(files=", ".join(names), more="separation = 1e9"))
    status, text = run("friction", "coarse", str(toml), "--out", str(tmp_path / "no"))
    assert status == 1 and "memory.separation" in text
