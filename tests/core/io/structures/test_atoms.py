"""ASE Atoms: the same labels as from files, wherever ASE put them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.io.structures.atoms import from_atoms, from_atoms_list
from acepot.io.structures.labels import LabelKeys, require_labels

CELL = np.array([[4.1, 0.2, 0.0], [0.7, 3.9, 0.1], [-0.3, 0.5, 5.2]])
FORCES = np.array([[1.0, 2, 3], [-1, -2, -3]])


def _atoms(
    info: dict[str, Any] | None = None,
    arrays: dict[str, Any] | None = None,
    results: dict[str, Any] | None = None,
    changed: bool = False,
) -> Any:
    """An object with the attributes of ASE's Atoms, so that these laws need no ASE."""
    numbers, positions = np.array([14, 6]), np.array([[0.0, 0, 0], [1.5, 1.2, 0.1]])
    calc = None
    if results is not None:
        calc = SimpleNamespace(
            results=results, check_state=lambda atoms: ["positions"] if changed else []
        )
    return SimpleNamespace(
        numbers=numbers,
        positions=positions,
        cell=CELL,
        pbc=np.array([True, True, False]),
        info=info or {},
        arrays={"numbers": numbers, "positions": positions, **(arrays or {})},
        calc=calc,
    )


def test_atoms_cell_and_labels_arrive() -> None:
    virial = np.diag([1.0, 2, 3])
    info = {"dft_energy": -3.5, "dft_virial": virial, "config_type": "bulk", "note": None}
    structure = from_atoms(_atoms(info, {"dft_force": FORCES}), name="one")
    assert structure.numbers.tolist() == [14, 6]
    np.testing.assert_array_equal(structure.cell, CELL)
    assert structure.pbc.tolist() == [True, True, False]
    assert structure.energy == -3.5
    np.testing.assert_array_equal(structure.forces, FORCES)
    np.testing.assert_array_equal(structure.virial, virial)
    assert (structure.config_type, structure.name) == ("bulk", "one")


def test_results_of_a_calculator_are_labels() -> None:
    results = {"energy": -1.0, "forces": FORCES, "stress": [1, 2, 3, 4, 5, 6], "magmom": 0.0}
    structures, count = from_atoms_list([_atoms(results=results), _atoms()])
    assert [one.energy for one in structures] == [-1.0, None]
    np.testing.assert_array_equal(structures[0].forces, FORCES)
    stress = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]])
    np.testing.assert_allclose(structures[0].virial, -np.linalg.det(CELL) * stress)
    assert str(count) == (
        "atoms: 2 structures, 4 atoms; 1 energy (calculator), 1 forces (calculator), "
        "1 virial (calculator)"
    )


def test_a_free_energy_stands_in_for_a_missing_energy() -> None:
    assert from_atoms(_atoms(results={"free_energy": -2.0})).energy == -2.0
    assert from_atoms(_atoms(results={"free_energy": -2.0, "energy": -1.0})).energy == -1.0
    asked = LabelKeys(energy="free_energy")
    assert from_atoms(_atoms(results={"free_energy": -2.0, "energy": -1.0}), asked).energy == -2.0


def test_ref_keys_win_over_the_calculator() -> None:
    atoms = _atoms({"REF_energy": -9.0}, results={"energy": -1.0})
    assert from_atoms(atoms).energy == -9.0


def test_keys_and_calculator_that_agree_are_one_label() -> None:
    same = _atoms({"dft_energy": -1.0}, {"forces": FORCES}, {"energy": -1.0, "forces": FORCES})
    structures, count = from_atoms_list([same, _atoms(results={"energy": -4.0})])
    assert [one.energy for one in structures] == [-1.0, -4.0]
    assert (count.energy_keys, count.forces_keys) == (("dft_energy", "calculator"), ("forces",))


def test_keys_and_calculator_that_differ_are_an_error_unless_one_is_named() -> None:
    atoms = _atoms({"dft_energy": -1.0}, results={"energy": -2.0})
    with pytest.raises(
        InputError,
        match=r"frame 0: energy: the values under dft_energy and calculator differ by 1; .* "
        r'energy_key = "dft_energy" or energy_key = "calculator"',
    ):
        from_atoms_list([atoms])
    assert from_atoms(atoms, LabelKeys(energy="calculator")).energy == -2.0
    assert from_atoms(atoms, LabelKeys(energy="dft_energy")).energy == -1.0


def test_a_virial_key_must_agree_with_the_stress_of_the_calculator() -> None:
    virial = -np.linalg.det(CELL) * np.eye(3)
    atoms = _atoms({"virial": virial}, results={"stress": [1, 1, 1, 0, 0, 0]})
    np.testing.assert_array_equal(from_atoms(atoms).virial, virial)
    wrong = _atoms({"virial": -virial}, results={"stress": [1, 1, 1, 0, 0, 0]})
    with pytest.raises(InputError, match="virial and calculator differ"):
        from_atoms(wrong)


def test_results_of_other_positions_are_not_used() -> None:
    _, count = from_atoms_list([_atoms(results={"energy": -1.0}, changed=True)])
    assert count.energies == 0
    with pytest.raises(InputError, match="calculator \\(not used: the atoms were changed"):
        require_labels(count)


def test_no_labels_are_looked_for_when_none_are_wanted() -> None:
    bad = _atoms({"energy": np.nan}, results={"energy": -1.0})
    assert from_atoms(bad, None).energy is None
    with pytest.raises(InputError, match="expected finite numbers"):
        from_atoms(bad)


def test_keys_are_chosen_for_the_whole_list() -> None:
    with pytest.raises(InputError, match="energy: dft_energy or gap_energy"):
        from_atoms_list([_atoms({"dft_energy": 1.0}), _atoms({"gap_energy": 1.0})])


@pytest.mark.parametrize("value", [True, "low", [1.0, 2.0], np.array([]), 1j, object()])
def test_a_wrong_value_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="expected one number in eV"):
        from_atoms(_atoms({"energy": value}))


def test_something_else_than_atoms_is_refused() -> None:
    with pytest.raises(InputError, match="expected an ASE Atoms object, got <class 'int'>"):
        from_atoms_list([3])
    with pytest.raises(InputError, match="expected a list of Atoms, got a single one"):
        from_atoms_list(_atoms())
    with pytest.raises(InputError, match="expected structures, got none"):
        from_atoms_list([], source="f.traj")


def test_the_callers_atoms_are_not_changed() -> None:
    atoms = _atoms({"energy": -1.0}, {"forces": FORCES.copy()})
    structure = from_atoms(atoms)
    atoms.positions[0] = 9.0
    assert structure.positions[0, 0] == 0.0
    assert (set(atoms.info), set(atoms.arrays)) == (
        {"energy"},
        {"numbers", "positions", "forces"},
    )


def test_ase_and_our_reader_give_the_same_structures(tmp_path: Path) -> None:
    ase = pytest.importorskip("ase")
    ase_io = pytest.importorskip("ase.io")
    singlepoint = pytest.importorskip("ase.calculators.singlepoint")
    atoms = ase.Atoms("SiC", [[0, 0, 0], [1.5, 1.2, 0.1]], cell=CELL, pbc=[True, True, False])
    atoms.info.update(config_type="a b", dft_virial=np.diag([1.0, 2, 3]), energy_kcal=3.0)
    atoms.calc = singlepoint.SinglePointCalculator(atoms, energy=-1.25, forces=FORCES)
    ase_io.write(tmp_path / "f.xyz", [atoms, atoms], format="extxyz")
    ours, count = extxyz.read(tmp_path / "f.xyz")
    theirs, other = from_atoms_list(ase_io.read(tmp_path / "f.xyz", ":"), source="f.xyz")
    direct = from_atoms(atoms, name="f.xyz frame 0")
    for one, two in (*zip(ours, theirs, strict=True), (ours[0], direct)):
        for name in ("numbers", "positions", "cell", "pbc", "forces", "virial"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
        assert (one.energy, one.config_type, one.name) == (two.energy, two.config_type, two.name)
    assert (count.energies, count.forces, count.virials) == (2, 2, 2)
    assert (other.energy_keys, other.virial_keys) == (("calculator",), ("dft_virial",))


def test_results_of_moved_ase_atoms_are_not_used() -> None:
    ase = pytest.importorskip("ase")
    singlepoint = pytest.importorskip("ase.calculators.singlepoint")
    atoms = ase.Atoms("Si", [[0, 0, 0]])
    atoms.calc = singlepoint.SinglePointCalculator(atoms, energy=-1.25)
    assert from_atoms(atoms).energy == -1.25
    atoms.positions += 0.1
    assert from_atoms(atoms).energy is None
