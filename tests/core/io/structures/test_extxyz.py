"""Extended XYZ: what is read, what is refused, and that nothing changes on the way back."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest

from acepot.errors import AceError, InputError, MissingDependency
from acepot.io.structures import datasets, extxyz
from acepot.io.structures.labels import LabelKeys, require_labels
from acepot.structure import Structure

TRICLINIC = np.array([[4.1, 0.2, 0.0], [0.7, 3.9, 0.1], [-0.3, 0.5, 5.2]])
TWO = """\
2
Lattice="4.1 0.2 0 0.7 3.9 0.1 -0.3 0.5 5.2" Properties=species:S:1:pos:R:3:forces:R:3 \
energy=-3.25 stress="1 4 5 4 2 6 5 6 3" config_type="liquid 300K" flag pbc="T T T"
Si 0 0 0 0.5 0 -1
C 1.5 1.25 1e-1 -0.5 0 1

3
Properties=species:S:1:pos:R:3 energy=-1.0
H 0 0 0
O 0 0 1
H 0 1 0
"""


@pytest.fixture
def shared() -> Path:
    folder = Path(__file__).parents[4].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the data sets in {folder} are not on this machine")
    return folder


def _file(tmp_path: Path, text: str, name: str = "f.xyz") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def _one(tmp_path: Path, comment: str, atoms: str = "Si 0 0 0\n", **keys: str) -> Structure:
    count = atoms.count("\n")
    text = f"{count}\n{comment}\n{atoms}"
    return extxyz.read(_file(tmp_path, text), LabelKeys(**keys))[0][0]


def test_every_field_of_a_frame_arrives(tmp_path: Path) -> None:
    structures, count = extxyz.read(_file(tmp_path, TWO))
    first, second = structures
    assert first.numbers.tolist() == [14, 6]
    np.testing.assert_array_equal(first.positions, [[0, 0, 0], [1.5, 1.25, 0.1]])
    np.testing.assert_array_equal(first.cell, TRICLINIC)
    assert first.pbc.all()
    assert first.energy == -3.25
    np.testing.assert_array_equal(first.forces, [[0.5, 0, -1], [-0.5, 0, 1]])
    stress = np.array([[1, 4, 5], [4, 2, 6], [5, 6, 3]])
    np.testing.assert_allclose(first.virial, -np.linalg.det(TRICLINIC) * stress, rtol=1e-14)
    assert (first.config_type, first.name) == ("liquid 300K", "f.xyz frame 0")
    assert not second.pbc.any() and not second.cell.any()
    assert second.forces is None and second.virial is None
    assert (second.config_type, second.name) == ("default", "f.xyz frame 1")
    assert (
        str(count) == "f.xyz: 2 structures, 5 atoms; 2 energies (energy), 1 forces (forces), "
        "1 virial (stress)"
    )
    assert count.components == 6


def test_voigt_stress_is_the_same_as_the_full_tensor(tmp_path: Path) -> None:
    cell = 'Lattice="4.1 0.2 0 0.7 3.9 0.1 -0.3 0.5 5.2"'
    full = _one(tmp_path, f'{cell} stress="1 6 5 6 2 4 5 4 3"').virial
    for text in ('"1 2 3 4 5 6"', "[1, 2, 3, 4, 5, 6]", "{1 2 3 4 5 6}", "'1 2 3 4 5 6'"):
        np.testing.assert_array_equal(_one(tmp_path, f"{cell} stress={text}").virial, full)
    nested = '"_JSON [[1, 6, 5], [6, 2, 4], [5, 4, 3]]"'
    np.testing.assert_array_equal(_one(tmp_path, f"{cell} stress={nested}").virial, full)
    rows = "[[1, 6, 5], [6, 2, 4], [5, 4, 3]]"
    np.testing.assert_array_equal(_one(tmp_path, f"{cell} stress={rows}").virial, full)


def test_a_virial_needs_no_cell_and_keeps_its_sign(tmp_path: Path) -> None:
    virial = _one(tmp_path, 'Properties=species:S:1:pos:R:3 virial="1 2 3 4 5 6"').virial
    np.testing.assert_array_equal(virial, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])


def test_a_slightly_asymmetric_tensor_is_averaged(tmp_path: Path) -> None:
    virial = _one(tmp_path, 'virial="1 0.5 0 0.5002 1 0 0 0 1"').virial
    assert virial is not None
    np.testing.assert_allclose(virial[0, 1], 0.5001, rtol=1e-12)
    np.testing.assert_array_equal(virial, virial.T)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ('Lattice="4 0 0 0 4 0 0 0 4"', (True, True, True)),
        ('Lattice="4 0 0 0 4 0 0 0 4" pbc="T F T"', (True, False, True)),
        ("Lattice=[[4,0,0],[0,4,0],[0,0,4]] pbc=[T, F, F]", (True, False, False)),
        ('Lattice = "4 0 0 0 4 0 0 0 4" pbc = "1 0 1"', (True, False, True)),
        ("pbc=F", (False, False, False)),
        ("no keys at all", (False, False, False)),
        ("", (False, False, False)),
    ],
)
def test_pbc_is_as_written_or_follows_the_lattice(
    tmp_path: Path, comment: str, expected: tuple[bool, ...]
) -> None:
    assert tuple(_one(tmp_path, comment).pbc.tolist()) == expected


@pytest.mark.parametrize(
    "comment", ["water's angle", 'say "hi', "E = -5.0 eV }", "a=1 a=2 [", "=", '"" = ""']
)
def test_a_free_comment_may_be_any_text(tmp_path: Path, comment: str) -> None:
    structure = _one(tmp_path, comment, "si 0 0 1 extra 7\n8 1 2 3\n")
    assert structure.numbers.tolist() == [14, 8]
    assert structure.energy is None


@pytest.mark.parametrize("name", ["Z", "numbers"])
def test_atomic_numbers_may_stand_for_symbols(tmp_path: Path, name: str) -> None:
    structure = _one(tmp_path, f"Properties={name}:I:1:pos:R:3", "14 0 0 0\n6 1 1 1\n")
    assert structure.numbers.tolist() == [14, 6]


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, bz2.compress])
def test_compression_is_known_by_content(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "plain.name"
    path.write_bytes(pack(TWO.encode()))  # type: ignore[operator]
    assert len(extxyz.read(path)[0]) == 2
    path.write_bytes(path.read_bytes()[:-15])
    with pytest.raises(InputError, match="cannot be read"):
        extxyz.read(path)


def test_line_ends_byte_order_marks_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "f.xyz"
    path.write_bytes(b"\xef\xbb\xbf\n" + TWO.replace("\n", "\r\n").encode() + b"\r\n  \r\n")
    assert len(extxyz.read(path)[0]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("two\n\n", r"frame 0 \(line 1\): expected the number of atoms, got 'two'"),
        ("0\n\n", "expected the number of atoms"),
        ("1.0\n\nSi 0 0 0\n", "expected the number of atoms"),
        ("9" * 5000 + "\n\n", "expected the number of atoms"),
        ("1", "file ends"),
        ("1\n\nSi 0 0 0\n2\n\nSi 0 0 0\n", r"frame 1 \(line 4\): .*2 atom lines.*after 1"),
        ("1\n\nSi 0 0\n", r"frame 0 \(line 3\): expected 4 columns .*, got 3"),
        ("1\npbc=F\nSi 0 0 0 1\n", r"expected 4 columns \(species:1 pos:3\), got 5"),
        ("2\n\nSi 0 0 0\nXx 0 0 0\n", r"\(line 4\): element: .*'Xx'"),
        ("1\n\n119 0 0 0\n", "1 to 118, got 119"),
        ("1\n\nSi 0 0 zero\n", r"\(line 3\): pos: expected a number, got 'zero'"),
        ("1\n\nSi 0 0 1_0\n", "pos: expected a number, got '1_0'"),
        ("1\n\nSi 0 0 nan\n", r"\(line 3\): pos: expected a position"),
        ("1\n\nSi 0 0 1e300\n", r"\(line 3\): pos: expected a position"),
        ('1\nLattice="1 2 3"\nSi 0 0 0\n', r"\(line 2\): Lattice: expected 9 numbers"),
        ('1\nLattice="1 0 0 0 1 0 0 0 x"\nSi 0 0 0\n', "Lattice: expected 9 numbers"),
        ('1\nLattice="1 0 0 0 1 0 0 0 inf"\nSi 0 0 0\n', "Lattice: expected 9 numbers"),
        ('1\nLattice="1 0 0 1 0 0 0 0 1"\nSi 0 0 0\n', r"\(line 2\): cell: .*no volume"),
        ('1\npbc="T T"\nSi 0 0 0\n', r"pbc: expected three of T and F.*'T T'"),
        ('1\npbc="T T T\nSi 0 0 0\n', 'cannot understand the comment at pbc="T'),
        ("1\npbc=F energy=1 energy=2\nSi 0 0 0\n", "energy, which occurs twice"),
        ("1\nProperties=species:S:1:pos:R\nSi 0 0 0\n", "Properties: expected"),
        ("1\nProperties=species:S:1:pos:R:2\nSi 0 0\n", "expected species:S:1 .* and pos:R:3"),
        ("1\nProperties=pos:R:3\n0 0 0\n", "expected species:S:1"),
        ("1\nProperties=species:S:1:pos:R:3:pos:R:3\nSi 0 0 0 0 0 0\n", "different name"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        extxyz.read(_file(tmp_path, text))
    assert "f.xyz" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("energy=nan", r"frame 0 \(line 2\): energy \(key energy\): expected finite numbers"),
        ('dft_energy="1 2"', r"\(key dft_energy\): expected one number in eV, got 2 numbers"),
        ("REF_energy", r"\(key REF_energy\): expected one number in eV, got True"),
        ("energy=low", "expected one number in eV, got 'low'"),
        ('virial="1 2 3"', "expected 9 numbers .*got 3 numbers"),
        ('virial="1 2 3 4 5 inf"', "expected finite numbers, got inf"),
        ('virial="1 0.5 0 0.6 1 0 0 0 1"', "expected a symmetric 3x3 tensor"),
        ('virial="1e200 0 0 0 0 0"', "components up to 1e"),
    ],
)
def test_a_wrong_label_is_refused_with_its_key(tmp_path: Path, comment: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _one(tmp_path, comment)


def test_wrong_forces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"forces \(key forces\): expected finite .* \(0, 1\)"):
        _one(tmp_path, "Properties=species:S:1:pos:R:3:forces:R:3", "Si 0 0 0 1 nan 1\n")
    with pytest.raises(InputError, match=r"\(key forces\): expected three numbers .* of 1 atoms"):
        _one(tmp_path, "Properties=species:S:1:pos:R:3:forces:R:2", "Si 0 0 0 1 1\n")
    with pytest.raises(InputError, match=r"\(line 3\): forces: expected a number, got 'T'"):
        _one(tmp_path, "Properties=species:S:1:pos:R:3:forces:L:3", "Si 0 0 0 T F T\n")


def test_damage_gives_an_input_error_or_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(20240611)
    good = TWO.encode()
    extra = b"0123456789.eE+-=\"'{}[]:,_ \n\r\t\x00\xffTFnaif\\"
    path = tmp_path / "f.xyz"
    refused = 0
    for _ in range(600):
        data = bytearray(good)
        if rng.random() < 0.2:
            del data[rng.integers(len(data)) :]
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(data) + 1))
            letter = extra[rng.integers(len(extra))]
            data[at : at + rng.integers(0, 3)] = bytes([letter] * int(rng.integers(0, 3)))
        path.write_bytes(bytes(data))
        try:
            extxyz.read(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error), str(error)
    assert 100 < refused < 600


def _labelled() -> list[Structure]:
    rng = np.random.default_rng(3)
    virial = rng.normal(size=(3, 3))
    return [
        Structure(
            numbers=[14, 6, 8],
            positions=rng.normal(size=(3, 3)) / 3,
            cell=TRICLINIC,
            pbc=[True, False, True],
            energy=-1 / 3,
            forces=rng.normal(size=(3, 3)),
            virial=virial + virial.T,
            config_type='a "b" \\c\nd',
            name="f.xyz frame 0",
        ),
        Structure(numbers=[1], positions=[[0, 0, 1e-17]], name="f.xyz frame 1"),
    ]


def _assert_same(got: Structure, expected: Structure) -> None:
    for name in ("numbers", "positions", "cell", "pbc", "forces", "virial"):
        ours, theirs = getattr(got, name), getattr(expected, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
    for name in ("energy", "config_type", "name"):
        assert getattr(got, name) == getattr(expected, name)


def test_written_structures_are_read_back_bit_by_bit(tmp_path: Path) -> None:
    path, structures = tmp_path / "f.xyz", _labelled()
    ones = [np.ones((len(one), 3)) for one in structures]
    virials = [np.eye(3), None]
    extxyz.write_structures(
        path, structures, energies=np.array([1.0, 2.0]), forces=ones, virials=virials
    )
    again, count = extxyz.read(path)
    for got, expected in zip(again, structures, strict=True):
        _assert_same(got, expected)
    assert (count.energies, count.energy_keys) == (1, ("REF_energy",))
    keys = LabelKeys("acepot_energy", "acepot_forces", virial="acepot_virial")
    predicted, count = extxyz.read(path, keys)
    assert [one.energy for one in predicted] == [1.0, 2.0]
    assert (count.forces, count.virials) == (2, 1)


def test_predictions_are_never_taken_for_labels(tmp_path: Path) -> None:
    path = tmp_path / "f.xyz"
    extxyz.write_structures(path, _labelled()[1:], energies=[1.0], forces=[np.ones((1, 3))])
    structures, count = extxyz.read(path)
    assert structures[0].energy is None and structures[0].forces is None
    with pytest.raises(InputError, match="found none; .*acepot_energy.*acepot_forces"):
        require_labels(count)


def test_predictions_of_the_wrong_shape_are_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = _file(tmp_path, "old")
    with pytest.raises(InputError, match=r"energies: expected one per structure \(2\), got 1"):
        extxyz.write_structures(path, _labelled(), energies=[1.0])
    with pytest.raises(InputError, match=r"structure 1: acepot_forces: expected shape \(1, 3\)"):
        extxyz.write_structures(path, _labelled(), forces=[None, np.ones((2, 3))])
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["f.xyz"]


def test_ase_reads_what_we_write(tmp_path: Path) -> None:
    ase_io = pytest.importorskip("ase.io")
    path, structures = tmp_path / "f.xyz", _labelled()
    extxyz.write_structures(
        path, structures, energies=[1.5, 2.5], virials=[np.diag([1.0, 2, 3])] * 2
    )
    for atoms, structure in zip(ase_io.read(path, ":"), structures, strict=True):
        np.testing.assert_array_equal(atoms.numbers, structure.numbers)
        np.testing.assert_array_equal(atoms.positions, structure.positions)
        np.testing.assert_array_equal(np.asarray(atoms.cell), structure.cell)
        np.testing.assert_array_equal(atoms.pbc, structure.pbc)
    first = ase_io.read(path, 0)
    assert (first.info["REF_energy"], first.info["acepot_energy"]) == (-1 / 3, 1.5)
    np.testing.assert_array_equal(first.arrays["REF_forces"], structures[0].forces)
    np.testing.assert_array_equal(first.info["acepot_virial"], [1, 0, 0, 0, 2, 0, 0, 0, 3])


@pytest.mark.parametrize("name", ["Cu_test", "Li_test", "Ni_test", "Si_test"])
def test_we_read_the_mlearn_files_as_ase_does(shared: Path, name: str) -> None:
    ase_io = pytest.importorskip("ase.io")
    path = shared / "mlearn_zuo2020" / f"{name}.extxyz.xz"
    structures, count = datasets.read_structures(path)
    everyone = ase_io.read(path, ":", format="extxyz")
    for atoms, structure in zip(everyone, structures, strict=True):
        np.testing.assert_array_equal(atoms.numbers, structure.numbers)
        np.testing.assert_array_equal(atoms.positions, structure.positions)
        np.testing.assert_array_equal(np.asarray(atoms.cell), structure.cell)
        np.testing.assert_array_equal(atoms.pbc, structure.pbc)
        assert atoms.get_potential_energy() == structure.energy
        np.testing.assert_array_equal(atoms.get_forces(), structure.forces)
        assert atoms.info["config_type"] == structure.config_type
        assert ("stress" in atoms.calc.results) == (structure.virial is not None)
        if structure.virial is not None:
            virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
            np.testing.assert_allclose(structure.virial, virial, rtol=1e-12, atol=1e-12)
    assert count.virials == len(structures) - 2


def test_the_label_line_of_a_known_file_is_as_documented(shared: Path) -> None:
    _, count = extxyz.read(shared / "mlearn_zuo2020" / "Si_train.extxyz.xz")
    assert str(count) == (
        "Si_train.extxyz.xz: 214 structures, 13233 atoms; 214 energies (energy), "
        "214 forces (forces), 202 virials (stress)"
    )


def test_the_silicon_set_with_two_methods_asks_which_then_reads(shared: Path) -> None:
    path = shared / "si_gap_prx2018" / "Si_tiny.xyz"
    with pytest.raises(InputError, match=r'\[data\] energy_key = "dft_energy", forces_key'):
        extxyz.read(path)
    _, count = extxyz.read(path, LabelKeys("dft_energy", "dft_force", virial="dft_virial"))
    assert (count.frames, count.energies, count.forces, count.virials) == (53, 53, 53, 52)


def test_a_file_of_another_program_goes_to_ase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, "not a structure of any kind\n", "OUTCAR_of_no_one.dat")
    monkeypatch.setitem(sys.modules, "ase.io", None)
    monkeypatch.setitem(sys.modules, "ase", None)
    with pytest.raises(MissingDependency, match=r"pip install acepot\[ase\]"):
        datasets.read_structures(path)


def test_a_trajectory_is_read_through_ase(tmp_path: Path) -> None:
    ase = pytest.importorskip("ase")
    ase_io = pytest.importorskip("ase.io")
    singlepoint = pytest.importorskip("ase.calculators.singlepoint")
    atoms = ase.Atoms("SiC", [[0, 0, 0], [1.5, 1.2, 0.1]], cell=TRICLINIC, pbc=True)
    stress = np.array([1.0, 2, 3, 4, 5, 6])
    atoms.calc = singlepoint.SinglePointCalculator(
        atoms, energy=-2.0, forces=np.ones((2, 3)), stress=stress
    )
    ase_io.write(tmp_path / "f.traj", [atoms, atoms])
    structures, count = datasets.read_structures(tmp_path / "f.traj")
    assert str(count).startswith("f.traj: 2 structures, 4 atoms; 2 energies (calculator)")
    assert structures[1].name == "f.traj frame 1"
    full = np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]])
    np.testing.assert_allclose(structures[0].virial, -np.linalg.det(TRICLINIC) * full)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.xyz", None, "no such file"),
        ("empty.dat", "", "empty file"),
        ("f.extxyz", "x\n", "expected the number of atoms"),
        ("f.dat", "no structure here\n", "neither .* nor read by ASE"),
    ],
)
def test_an_unreadable_file_is_an_input_error(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if name == "f.dat":
        pytest.importorskip("ase")
    if content is not None:
        _file(tmp_path, content, name)
    with pytest.raises(AceError, match=message):
        datasets.read_structures(tmp_path / name)
    with pytest.raises(InputError, match="got a folder"):
        datasets.read_structures(tmp_path)


def test_further_labels_and_the_charge_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(71)
    labels = {"charges": rng.normal(size=(4, 1)), "spin": rng.normal(size=(4, 3)),
              "dipole": rng.normal(size=3)}  # fmt: skip
    one = Structure([8, 14, 8, 1], rng.normal(size=(4, 3)), energy=-1.5, charge=-1.0, labels=labels)
    bare = Structure([8], [[0, 0, 0]], energy=0.5)
    extxyz.write_structures(tmp_path / "labels.xyz", [one, bare])
    keys = LabelKeys(others={name: f"REF_{name}" for name in (*labels, "charge")})
    (again, other), _ = datasets.read_structures(tmp_path / "labels.xyz", keys)
    assert again.charge == -1.0 and again.energy == -1.5 and other.charge is None
    for name, value in labels.items():
        np.testing.assert_array_equal(again.labels[name], value, err_msg=name)
    assert not other.labels
