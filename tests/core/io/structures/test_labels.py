"""Labels: which keys count, which win, and when the user is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.io.structures.labels import WORDS, Kind, LabelCount, LabelKeys, rank, require_labels
from acepot.io.structures.scales import scale
from acepot.structure import Structure
from acepot.units import BOHR, GIGAPASCAL, HARTREE

CELL = 'Lattice="4 0 0 0 4 0 0 0 4"'


def _read(
    tmp_path: Path, *comments: str, columns: str = "", keys: LabelKeys | None = None
) -> tuple[list[Structure], LabelCount]:
    """Frames of one silicon atom; `columns` are names of vectors, filled with 1 2 3, 4 5 6..."""
    names = columns.split()
    properties = "".join(f":{name}:R:3" for name in names)
    numbers = " ".join(str(i + 1) for i in range(3 * len(names)))
    path = tmp_path / "f.xyz"
    path.write_text(
        "".join(
            f"1\n{comment} Properties=species:S:1:pos:R:3{properties}\nSi 0 0 0 {numbers}\n"
            for comment in comments
        )
    )
    return extxyz.read(path, keys or LabelKeys())


@pytest.mark.parametrize(
    "key",
    """energy Energy ENERGY free_energy dft_energy DFT_energy gap_energy energy_dft
    potential_energy total_energy energy_corrected REF_energy cp2k_energy pbe-energy""".split(),
)
def test_the_usual_names_of_energies_are_found(tmp_path: Path, key: str) -> None:
    structures, count = _read(tmp_path, f"{key}=-2.5")
    assert structures[0].energy == -2.5
    assert count.energy_keys == (key,)


@pytest.mark.parametrize(
    "key",
    """kinetic_energy energy_per_atom energy_sigma energy_weight config_energy_weight energies
    energy_shift energy_kcal energy_Ha acepot_energy max_energy local_energy cut_off_energy
    elec_energy_tol formation_energy fermi_energy energy_std energy_forces atomic_energy
    free_energies energetic my_energy_is_nice isolated_energy virial_energy""".split(),
)
def test_other_quantities_are_no_energies(tmp_path: Path, key: str) -> None:
    structures, count = _read(tmp_path, f"{key}=-2.5")
    assert structures[0].energy is None
    assert key in count.info


@pytest.mark.parametrize(
    "key", "forces force Forces dft_force dft_forces gap_force REF_forces forces_pbe".split()
)
def test_the_usual_names_of_forces_are_found(tmp_path: Path, key: str) -> None:
    structures, count = _read(tmp_path, "", columns=f"momenta {key}")
    np.testing.assert_array_equal(structures[0].forces, [[4, 5, 6]])
    assert count.forces_keys == (key,)


@pytest.mark.parametrize("key", "force_mask forces_std kinetic_force forces_au fix".split())
def test_other_columns_are_no_forces(tmp_path: Path, key: str) -> None:
    structures, count = _read(tmp_path, "", columns=key)
    assert structures[0].forces is None
    assert count.columns == ("species", "pos", key)


@pytest.mark.parametrize(
    "key", "virial virials dft_virial dft_virials REF_virial REF_virials Virial".split()
)
def test_the_usual_names_of_virials_are_found(tmp_path: Path, key: str) -> None:
    structures, count = _read(tmp_path, f'{key}="1 2 3 4 5 6"')
    np.testing.assert_array_equal(structures[0].virial, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])
    assert count.virial_keys == (key,)


@pytest.mark.parametrize("key", "stress dft_stress REF_stress Stress stress_dft".split())
def test_the_usual_names_of_stresses_are_found(tmp_path: Path, key: str) -> None:
    structures, count = _read(tmp_path, f'{CELL} {key}="1 2 3 4 5 6"')
    assert structures[0].virial is not None
    np.testing.assert_allclose(structures[0].virial[1, 2], -64.0 * 4)
    assert count.virial_keys == (key,)


@pytest.mark.parametrize(
    "text",
    [
        'raw_virial_stress_kbar="1 2 3 4 5 6"',
        'virial_stress="1 2 3 4 5 6"',
        'stress_GPa="1 2 3 4 5 6"',
        "calculate_stress=T",
        "stress_weight=1",
        'my_stress="1 2 3"',
        'cut_off_energy="250 eV"',
    ],
)
def test_other_quantities_are_no_stresses(tmp_path: Path, text: str) -> None:
    structures, count = _read(tmp_path, f"{CELL} {text}")
    assert (count.energies, count.virials) == (0, 0)
    assert structures[0].virial is None


def test_a_name_is_a_label_of_one_kind_at_most() -> None:
    kinds: tuple[Kind, ...] = tuple(WORDS)
    for key in "energy forces stress virial virial_stress energy_force x REF_virials".split():
        assert sum(rank(kind, key) is not None for kind in kinds) <= 1, key


def test_ref_keys_win_over_all_others_in_the_whole_file(tmp_path: Path) -> None:
    structures, count = _read(
        tmp_path,
        f'{CELL} energy=1 dft_energy=2 REF_energy=3 stress="9 9 9 0 0 0" REF_virial="1 1 1 0 0 0"',
        "energy=1",
        columns="forces REF_forces",
    )
    assert [one.energy for one in structures] == [3.0, None]
    np.testing.assert_array_equal(structures[0].forces, [[4, 5, 6]])
    np.testing.assert_array_equal(structures[0].virial, np.eye(3))
    assert count.energy_keys == ("REF_energy",)
    assert (count.energies, count.forces, count.virials) == (1, 2, 1)


def test_a_free_energy_counts_only_without_another_energy(tmp_path: Path) -> None:
    structures, _ = _read(tmp_path, "free_energy=1 energy=2", "free_energy=1")
    assert [one.energy for one in structures] == [2.0, None]
    structures, _ = _read(tmp_path, "free_energy=1")
    assert structures[0].energy == 1.0


def test_two_candidates_are_an_error_that_shows_what_to_write(tmp_path: Path) -> None:
    comments = ("gap_energy=1 dft_energy=2", "dft_energy=3")
    with pytest.raises(
        InputError,
        match=r"f\.xyz: more than one key could be the label "
        r"\(energy: dft_energy or gap_energy; forces: a_force or b_force\); "
        r'say which, .*\[data\] energy_key = "dft_energy", forces_key = "a_force"',
    ):
        _read(tmp_path, *comments, columns="b_force a_force")
    keys = LabelKeys(energy="gap_energy", forces="a_force")
    structures, _ = _read(tmp_path, *comments, columns="b_force a_force", keys=keys)
    assert [one.energy for one in structures] == [1.0, None]
    np.testing.assert_array_equal(structures[0].forces, [[4, 5, 6]])


def test_candidates_in_different_frames_are_still_two(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="energy: dft_energy or energy"):
        _read(tmp_path, "energy=1", "dft_energy=2")


def test_a_key_that_is_asked_for_is_used_whatever_its_name(tmp_path: Path) -> None:
    keys = LabelKeys(energy="kinetic_energy", forces="momenta")
    structures, count = _read(
        tmp_path, "energy=1 kinetic_energy=2", columns="momenta forces", keys=keys
    )
    assert structures[0].energy == 2.0
    np.testing.assert_array_equal(structures[0].forces, [[1, 2, 3]])
    assert (count.energy_keys, count.forces_keys) == (("kinetic_energy",), ("momenta",))


@pytest.mark.parametrize("kind", ["energy", "forces", "stress", "virial"])
def test_a_key_that_is_nowhere_is_an_error_that_lists_the_keys(tmp_path: Path, kind: str) -> None:
    with pytest.raises(
        InputError, match=rf'{kind}_key = "absent" occurs in no frame; .* energy, .*pos, forces'
    ):
        _read(tmp_path, "energy=1", columns="forces", keys=LabelKeys(**{kind: "absent"}))


def test_stress_and_virial_that_agree_are_one_label(tmp_path: Path) -> None:
    both = f'{CELL} virial="64 128 192 64 0 0" stress="-1 -2 -3 -1 0 0"'
    structures, count = _read(tmp_path, f'{CELL} stress="-1 0 0 0 0 0"', both)
    assert structures[0].virial is not None and structures[1].virial is not None
    np.testing.assert_allclose(structures[0].virial[0, 0], 64.0)
    assert structures[1].virial[1, 2] == 64.0
    assert count.virial_keys == ("stress", "virial")


def test_stress_and_virial_that_contradict_are_an_error_unless_one_is_named(
    tmp_path: Path,
) -> None:
    both = f'{CELL} virial="64 0 0 0 0 0" stress="1 0 0 0 0 0"'
    with pytest.raises(
        InputError, match='virial and stress differ .*virial_key = "virial" or stress_key ='
    ):
        _read(tmp_path, both)
    for keys, sign in (
        (LabelKeys(virial="virial"), 1),
        (LabelKeys(stress="stress"), -1),
        (LabelKeys(stress="stress", virial="virial"), 1),
    ):
        structures, _ = _read(tmp_path, both, keys=keys)
        assert structures[0].virial is not None
        np.testing.assert_allclose(structures[0].virial[0, 0], sign * 64.0)


@pytest.mark.parametrize("bad", ["", 3])
def test_a_key_is_a_word(bad: object) -> None:
    with pytest.raises(InputError, match="energy_key: expected the name of a key"):
        LabelKeys(energy=bad)  # type: ignore[arg-type]


def test_missing_labels_are_an_error_that_lists_the_keys(tmp_path: Path) -> None:
    _, count = _read(tmp_path, "total_enrgy=1 note=x", columns="f")
    with pytest.raises(
        InputError,
        match=r"f\.xyz: expected labels \(energy, forces\), found none; its per-structure keys "
        r"are total_enrgy, note, its per-atom columns are species, pos, f; name .*energy_key",
    ):
        require_labels(count, ["energy", "forces"])
    with pytest.raises(InputError, match="wanted: expected some of"):
        require_labels(count, ["stress"])


def test_one_wanted_label_is_enough(tmp_path: Path) -> None:
    _, count = _read(tmp_path, "energy=1", "note=x")
    require_labels(count)
    require_labels(count, ["forces", "energy"])
    with pytest.raises(InputError, match="found none"):
        require_labels(count, ["forces", "virial"])
    assert str(count) == "f.xyz: 2 structures, 2 atoms; 1 energy (energy), 0 forces, 0 virials"


# ------------------------------------------------------------------ what is no label, units


@pytest.mark.parametrize(
    ("comment", "why"),
    [
        ('stress="1 2 3 4 5 6"', "no periodic direction"),
        (f'{CELL} pbc="F F F" stress="1 2 3 4 5 6"', "no periodic direction"),
        ('Lattice="9 0 0 0 9 0 0 0 0" pbc="T T F" stress="1 2 3 4 5 6"', "cell without a volume"),
        (f'{CELL} stress="nan nan nan nan nan nan"', "not a number"),
        (f'{CELL} virial="nan nan nan nan nan nan"', "not a number"),
    ],
)
def test_stresses_that_are_none_are_passed_over_and_counted(
    tmp_path: Path, comment: str, why: str
) -> None:
    structures, count = _read(tmp_path, f'{CELL} stress="1 0 0 0 0 0"', comment)
    assert structures[0].virial is not None and structures[1].virial is None
    assert f"1 virial (stress), 1 passed over ({why})" in str(count)


def test_zeros_of_several_atoms_are_a_placeholder(tmp_path: Path) -> None:
    path = tmp_path / "f.xyz"
    path.write_text(f'2\n{CELL} energy=1 stress="0 0 0 0 0 0"\nSi 0 0 0\nSi 1 2 2\n')
    (one,), count = extxyz.read(path)
    assert one.virial is None and str(count).endswith("0 virials, 1 passed over (only zeros)")
    path.write_text(f'1\n{CELL} energy=1 stress="0 0 0 0 0 0"\nSi 0 0 0\n')
    assert extxyz.read(path)[0][0].virial is not None  # that of an atom alone is zero


@pytest.mark.parametrize(
    "comment", ["config_type= energy=1", 'config_type="" energy=1', "energy=1"]
)
def test_an_empty_group_is_the_default_one(tmp_path: Path, comment: str) -> None:
    (one,), _ = _read(tmp_path, f"{comment} {CELL}")
    assert one.config_type == "default" and one.cell[0, 0] == 4.0


def test_a_key_that_is_not_used_where_the_chosen_one_is_missing_is_noted(tmp_path: Path) -> None:
    structures, count = _read(tmp_path, "REF_energy=1", "energy=2 config_type=alone")
    assert structures[1].energy is None
    assert count.notes == (
        "f.xyz: 1 structure has no REF_energy but an energy under energy (frame 1, alone), which "
        "is not used; give all of them one key, or name the key",
    )
    assert _read(tmp_path, "REF_energy=1 energy=2")[1].notes == ()


def test_labels_can_be_left_out(tmp_path: Path) -> None:
    comment = f'{CELL} energy=1 virial="1 0 0 0 0 0" stress="9 0 0 0 0 0"'
    (one,), count = _read(tmp_path, comment, keys=LabelKeys(ignore=("stress",)))
    assert one.virial is not None and count.virial_keys == ("virial",)
    (one,), _ = _read(tmp_path, comment, keys=LabelKeys(ignore=("stress", "virial", "energy")))
    assert one.virial is None and one.energy is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ignore": ("stresses",)}, "ignore: expected some of energy, forces, stress, virial, got"),
        ({"ignore": ("energy",), "energy": "e"}, "ignore: energy is left out, yet energy_key"),
        ({"units": {"energy": "Bohr"}}, "units.energy: expected a unit such as 'Ha'"),
        ({"units": {"stress": "eV"}}, "units.stress: expected a unit such as '-bar'"),
        ({"units": {"speed": "m/s"}}, "units: expected units of energy, forces, stress, virial"),
    ],
)
def test_unknown_kinds_and_units_are_refused(keys: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LabelKeys(**keys)


@pytest.mark.parametrize(
    ("quantity", "unit", "factor"),
    [
        ("energy", "Ha", 27.211386246),
        ("energy", "-Ry", -13.605693123),
        ("energy", "kcal/mol", 0.0433641043),
        ("energy", "kJ/mol", 0.0103642697),
        ("energy", "eV/atom", 3.0),
        ("forces", "Ha/Bohr", 51.42206747),
        ("forces", "kcal/mol/Å", 0.0433641043),
        ("forces", "-eV/Å", -1.0),
        ("stress", "-bar", -6.24150907e-7),
        ("stress", "kbar", 6.24150907e-4),
        ("stress", "GPa", 6.24150907e-3),
        ("stress", "Ha/Bohr^3", 183.6315368),
        ("stress", "eV/Å³", 1.0),
        ("virial", "Ha", 27.211386246),
        ("positions", "Bohr", 0.529177210544),
        ("positions", "nm", 10.0),
    ],
)
def test_units_by_name(quantity: str, unit: str, factor: float) -> None:
    assert scale(quantity, unit).of(3) == pytest.approx(factor, rel=1e-8)


def test_labels_in_other_units_come_in_ours(tmp_path: Path) -> None:
    units = {"energy": "Ha", "forces": "Ha/Bohr", "stress": "-bar", "positions": "Bohr"}
    (one,), _ = _read(
        tmp_path,
        f'{CELL} energy=2 stress="1e6 0 0 0 0 0"',
        columns="forces",
        keys=LabelKeys(units=units),
    )
    assert one.energy == pytest.approx(2 * HARTREE)
    assert one.cell[0, 0] == pytest.approx(4 * BOHR)
    np.testing.assert_allclose(one.forces, np.array([[1, 2, 3]]) * HARTREE / BOHR)
    assert one.virial[0, 0] == pytest.approx(100 * GIGAPASCAL * one.volume)
