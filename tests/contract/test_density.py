"""More neighbours than memory is for are refused before memory is taken, on every route."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import BasisSpec, Model, Potential, Structure, basis_size, resolve
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.io.structures import extxyz
from acepot.lowering import lower
from acepot.neighbours import build, nearest

COLLAPSED = "has the cell collapsed"


@pytest.fixture(scope="module")
def model() -> Model:
    spec = resolve(BasisSpec(("Si",), order=2, degree=4.0, cutoff=6.0))
    coefficients = np.random.default_rng(0).normal(size=basis_size(spec)["total"])
    return Model(spec, coefficients, np.array([-1.0]))


def grid(count: int, length: float) -> Structure:
    """count³ atoms in a cube."""
    steps = np.arange(count) * length / count
    places = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return Structure(np.full(count**3, 14), places, length * np.eye(3), True, name="grid")


def crowd(count: int) -> Structure:
    """So many atoms within 1 Å, and one far away, so that on average there is much room."""
    places = np.random.default_rng(0).random((count, 3))
    places[-1] = [5000.0, 0.0, 0.0]
    return Structure(np.full(count, 14), places, name="crowd")


def rows(tables: acepot.tables.Tables, structure: Structure) -> None:
    NativeRowBuilder(tables).fill(
        structure, ("energy",), np.empty((1, tables.functions), order="F")
    )


@pytest.mark.parametrize("structure", [grid(4, 0.5), grid(8, 1.0)])
def test_a_collapsed_cell_is_refused(structure: Structure, model: Model) -> None:
    with pytest.raises(InputError, match=f"^grid: positions and cell: .* neighbours .*{COLLAPSED}"):
        Potential(model, threads=1).compute(structure)
    with pytest.raises(InputError, match=COLLAPSED):
        Potential(model, "reference").compute(structure)
    with pytest.raises(InputError, match=COLLAPSED):
        build(structure, 6.0)
    with pytest.raises(InputError, match=COLLAPSED):
        rows(lower(model), structure)
    bound = Potential(model).bind(structure.numbers, structure.pbc)
    with pytest.raises(InputError, match=COLLAPSED):
        bound.compute(np.array(structure.positions), np.array(structure.cell))


def test_a_crowd_in_an_empty_box_is_refused(model: Model) -> None:
    structure = crowd(110_000)
    with pytest.raises(InputError, match=f"crowd: .*atom .* has .* neighbours.*{COLLAPSED}"):
        Potential(model, threads=1).compute(structure)
    with pytest.raises(InputError, match=f"atom .* has .* neighbours.*{COLLAPSED}"):
        rows(lower(model), structure)


@pytest.mark.parametrize("periodic", [(True, False, False), (True, True, False), True])
def test_images_that_are_too_near_are_refused(
    periodic: bool | tuple[bool, bool, bool], model: Model
) -> None:
    structure = Structure([14], [[0.0, 0.0, 0.0]], np.eye(3) * 1e-4, periodic)
    with pytest.raises(InputError, match=f"cell: .*{COLLAPSED}"):
        Potential(model, threads=1).compute(structure)
    with pytest.raises(InputError, match=f"cell: .*{COLLAPSED}"):
        build(structure, 6.0)
    if periodic is True:
        with pytest.raises(InputError, match=COLLAPSED):
            nearest(structure, 4.0)


def test_a_very_long_cutoff_in_a_short_cell_is_refused() -> None:
    spec = resolve(BasisSpec(("Si",), order=1, degree=4.0, cutoff=50.0))
    long = Model(spec, np.zeros(basis_size(spec)["total"]), np.zeros(1))
    with pytest.raises(InputError, match=r"about 8\.18e\+06 neighbours within 50 A"):
        Potential(long).compute(Structure([14], [[0, 0, 0]], 0.4 * np.eye(3), True))
    sound = grid(2, 5.4)  # 50,000 neighbours an atom are within reason
    assert Potential(long, threads=1).compute(sound).energy == 0.0


def test_matter_compressed_ten_and_fifty_times_is_evaluated(model: Model) -> None:
    for times in (10, 50):
        structure = grid(2, (8 * 20.0 / times) ** (1 / 3))
        native, slow = (
            Potential(model, name).compute(structure) for name in ("native", "reference")
        )
        np.testing.assert_allclose(native.forces, slow.forces, atol=1e-9 * abs(native.energy))
        assert native.energy == pytest.approx(slow.energy, rel=1e-9)


def test_a_fit_and_eval_name_the_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    model: Model,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    good = grid(2, 5.0).labelled(energy=-1.0, forces=np.zeros((8, 3)))
    bad = grid(8, 1.0).labelled(energy=-1.0, forces=np.zeros((512, 3)))
    extxyz.write_structures("train.xyz", [good, good, bad])
    acepot.save(model, "model.acepot")
    for words in ("fit train.xyz --cutoff 6 --out o --no-plots", "eval model.acepot train.xyz"):
        more = [] if words.startswith("fit") else ["--report", "r.json"]
        assert main([*words.split(), *more]) == 1
        said = capsys.readouterr().err
        assert "train.xyz frame 2: " in said and COLLAPSED in said


def test_no_memory_is_taken_before(model: Model, tmp_path: Path) -> None:
    acepot.save(model, tmp_path / "model.acepot")
    code = """
import resource, sys
import numpy as np
import acepot
potential = acepot.Potential(acepot.load(sys.argv[1]), threads=1)
places = np.random.default_rng(0).random((512, 3))
structure = acepot.Structure([14] * 512, places, np.eye(3), True)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
try:
    potential.compute(structure)
except acepot.errors.InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.acepot"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and COLLAPSED in done.stdout, done.stdout + done.stderr
