"""Models of acepot through the KIM API, beside the compiled evaluator."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot import Potential, Structure
from acepot.errors import InputError
from acepot.units import KILOCALORIE_PER_MOLE
from kim_ace import build, export_kim

HERE = Path(__file__).parent
_FLAGS = (
    subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libkim-api"], capture_output=True, text=True
    )
    if shutil.which("pkg-config") and shutil.which("kim-api-collections-management")
    else None
)
needs_kim = pytest.mark.skipif(
    _FLAGS is None or _FLAGS.returncode != 0,
    reason="the KIM API is not installed (apt-get install libkim-api-dev)",
)
#: An electronvolt in kcal/mol by KIM's constants, which are older than ours.
KIMS_ELECTRONVOLT = 23.0605302474
pytestmark = pytest.mark.xdist_group("kim")  # the driver is compiled once
#: KIM's order of virials.
_VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


@pytest.fixture(scope="module")
def kim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a simulator, and KIM's collections of it with the driver."""
    folder = tmp_path_factory.mktemp("kim")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MODEL_DRIVERS", "PORTABLE_MODELS"):
            (folder / name).mkdir()
            patch.setenv(f"KIM_API_{name}_DIR", str(folder / name))
        assert build().is_relative_to(folder)
    assert _FLAGS is not None
    subprocess.run(
        ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", str(HERE / "kim" / "simulator.cpp"),
         "-o", str(folder / "simulator"), *_FLAGS.stdout.split()], check=True,
    )  # fmt: skip
    return folder


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        f"KIM_API_{name}_DIR": str(folder / name) for name in ("MODEL_DRIVERS", "PORTABLE_MODELS")
    }


def install(folder: Path, model: Any, name: str) -> None:
    """Through a model file, as users do."""
    acepot.save(model, folder / f"{name}.acepot")
    source = export_kim(folder / f"{name}.acepot", folder / name)
    subprocess.run(
        ["kim-api-collections-management", "install", "environment", str(source)],
        env=environment(folder), cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def simulated(folder: Path, name: str, units: str, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(folder / "simulator"), name, units],
        input=text, env=environment(folder), cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def with_images(structure: Structure, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms and the images that they may feel in any order: places, atoms, whether it is one."""
    inverse = np.linalg.inv(structure.cell if structure.pbc.all() else np.eye(3))
    heights = 1 / np.linalg.norm(inverse, axis=0)
    spread = np.ptp(structure.positions @ inverse, axis=0)  # atoms need not lie in the cell
    most = np.where(structure.pbc, np.ceil(cutoff / heights + spread), 0).astype(int)
    shifts = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), -1)
    shifts = shifts.reshape(-1, 3)
    places = (structure.positions[None] + (shifts @ structure.cell)[:, None]).reshape(-1, 3)
    atoms = np.tile(np.arange(len(structure)), len(shifts))
    own = np.repeat((shifts == 0).all(axis=1), len(structure))
    far = np.linalg.norm(places[:, None] - structure.positions[None], axis=-1).min(axis=1)
    kept = own | (far <= cutoff)
    order = np.random.default_rng(5).permutation(np.flatnonzero(kept))
    return places[order], atoms[order], own[order]


@needs_kim
@pytest.mark.parametrize("units", ["eV", "kcal/mol"])
def test_all_numbers_are_those_of_the_evaluator(
    kim: Path, case_named: Callable[[str], Any], units: str
) -> None:
    case = case_named("two-elements")
    name = f"two_{units.partition('/')[0]}"
    install(kim, case.model, name)
    length, energy = (1.0, 1.0) if units == "eV" else (0.1, KIMS_ELECTRONVOLT)
    potential, cutoff = Potential(case.model), float(acepot.lower(case.model).cutoff.max())
    for which in ("triclinic", "molecule", "tiny cell", "outside the cell", "one atom"):
        structure = case.structures[which]
        places, atoms, own = with_images(structure, cutoff)
        assert own.all() or not own[: own.sum()].all(), "no ghost stands among the atoms"
        lines = [str(len(places))]
        for place, atom, contributes in zip(places, atoms, own, strict=True):
            symbol = symbol_of(structure.numbers[atom])
            numbers = " ".join(f"{x:.17g}" for x in length * place)
            lines.append(f"{int(contributes)} {symbol} {numbers}")
        done = simulated(kim, name, units, "\n".join(lines))
        assert done.returncode == 0, done.stderr + (kim / "kim.log").read_text()[-2000:]
        first, second, *rest = done.stdout.splitlines()
        table = np.array([[float(x) for x in line.split()] for line in rest])
        expected = potential.compute(structure)
        scale = max(1.0, np.abs(expected.forces).max())
        assert float(first) / energy == pytest.approx(expected.energy, rel=1e-9, abs=1e-9 * scale)
        virial = -np.array([float(x) for x in second.split()]) / energy
        np.testing.assert_allclose(virial, expected.virial[_VOIGT], rtol=1e-7, atol=1e-8 * scale)
        forces = np.zeros((len(structure), 3))
        np.add.at(forces, atoms, table[:, 1:4] * length / energy)
        np.testing.assert_allclose(forces, expected.forces, rtol=1e-7, atol=1e-9 * scale)
        energies = np.zeros(len(structure))
        np.add.at(energies, atoms, table[:, 0] / energy)
        np.testing.assert_allclose(energies, expected.energies, rtol=1e-7, atol=1e-9 * scale)
        assert not table[~own, 0].any() and not table[~own, 4:].any()
        np.testing.assert_allclose(
            -table[own, 4:].sum(axis=0) / energy, virial, rtol=1e-7, atol=1e-8 * scale
        )


def symbol_of(number: int) -> str:
    from acepot.basis.species import SYMBOLS

    return SYMBOLS[number]


@needs_kim
def test_two_atoms_at_one_place_are_an_error_with_their_numbers(
    kim: Path, case_named: Callable[[str], Any]
) -> None:
    case = case_named("two-elements")
    install(kim, case.model, "close")
    symbol = symbol_of(int(case.model.numbers[0]))
    # Ghosts come first, so the evaluator has other numbers for the atoms.
    text = f"4\n0 {symbol} 9 9 9\n1 {symbol} 0 0 0\n0 {symbol} 3 3 3\n1 {symbol} 1e-4 0 0\n"
    done = simulated(kim, "close", "eV", text)
    assert done.returncode == 1 and "the model failed" in done.stderr
    log = (kim / "kim.log").read_text()
    assert "acepot: atoms 1 and 3" in log or "acepot: atoms 3 and 1" in log, log[-2000:]


@needs_kim
def test_a_file_that_is_no_table_is_refused_with_the_reason(
    kim: Path, case_named: Callable[[str], Any]
) -> None:
    acepot.save(case_named("two-elements").model, kim / "whole.acepot")
    source = export_kim(kim / "whole.acepot", kim / "damaged")
    table = (source / "damaged.tables").read_bytes()
    (source / "damaged.tables").write_bytes(table[: len(table) // 2])
    subprocess.run(
        ["kim-api-collections-management", "install", "environment", str(source)],
        env=environment(kim), cwd=kim, check=True, capture_output=True,
    )  # fmt: skip
    done = simulated(kim, "damaged", "eV", "0\n")
    assert done.returncode == 1 and "no such model" in done.stderr
    assert "damaged.tables" in (kim / "kim.log").read_text()


def test_kims_constants_are_near_ours() -> None:
    assert abs(KIMS_ELECTRONVOLT * KILOCALORIE_PER_MOLE - 1) < 1e-6


@pytest.mark.parametrize("name", ["2Si", "Si-model", "Si.kim", ""])
def test_names_that_kim_does_not_take_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="a letter first"):
        export_kim("no.acepot", str(tmp_path / name) if name else "/")


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "Si").mkdir()
    with pytest.raises(InputError, match="exists"):
        export_kim("no.acepot", tmp_path / "Si")
