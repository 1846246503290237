"""Labels beyond energy, forces and virial: read by an explicit key, checked, counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acepot import Structure
from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.io.structures.atoms import from_atoms_list
from acepot.io.structures.labels import LabelKeys

TEXT = """2
Properties=species:S:1:pos:R:3:q:R:1:dip:R:3 energy=-1 dft_dipole="0.1 0.2 -0.3" Q=1
Si 0 0 0 0.5 1 2 3
O 1.6 0 0 -0.5 4 5 6
1
Properties=species:S:1:pos:R:3:q:R:1:dip:R:3 energy=-2 Q=0
Si 0 0 0 0.25 7 8 9
"""


def read(tmp_path: Path, text: str = TEXT, **others: str):  # noqa: ANN201
    path = tmp_path / "x.xyz"
    path.write_text(text)
    return extxyz.read(path, LabelKeys(others=others))


def test_labels_of_structures_and_atoms_are_read_by_their_keys(tmp_path: Path) -> None:
    (one, two), count = read(tmp_path, dipole="dft_dipole", charges="q", moments="dip", charge="Q")
    np.testing.assert_array_equal(one.labels["dipole"], [0.1, 0.2, -0.3])
    np.testing.assert_array_equal(one.labels["charges"].ravel(), [0.5, -0.5])
    np.testing.assert_array_equal(one.labels["moments"], [[1, 2, 3], [4, 5, 6]])
    assert one.charge == 1.0 and two.charge == 0.0 and "charge" not in one.labels
    assert set(two.labels) == {"charges", "moments"} and two.energy == -2.0
    assert "1 dipole (dft_dipole), 2 charges (q), 2 moments (dip), 2 charge (Q)" in str(count)
    assert not one.labels["dipole"].flags.writeable


def test_nothing_is_found_without_being_named(tmp_path: Path) -> None:
    (one, _), count = read(tmp_path)
    assert one.labels == {} and one.charge is None and count.others == ()
    assert str(count).endswith("0 forces, 0 virials")


@pytest.mark.parametrize(
    ("text", "others", "match"),
    [
        (TEXT, {"dipole": "dipol"}, r'keys.dipole = "dipol" occurs in no frame; its per-structure'),
        (TEXT.replace("0.2 -", "nan -"), {"dipole": "dft_dipole"}, r"frame 0.*finite numbers.*nan"),
        (TEXT.replace('"0.1 0.2 -0.3"', "far"), {"dipole": "dft_dipole"}, "expected numbers, got"),
        (TEXT.replace("Q=1", "q=1"), {"charges": "q"}, "for the structure and for its atoms"),
        (TEXT.replace("Q=1", 'Q="1 2"'), {"charge": "Q"}, r"charge: expected shape \(\)"),
    ],
)  # fmt: skip
def test_mistakes_name_key_and_frame(
    tmp_path: Path, text: str, others: dict[str, str], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        read(tmp_path, text, **others)


def test_atoms_of_ase_have_them_too() -> None:
    ase = pytest.importorskip("ase")
    atoms = ase.Atoms("SiO", positions=[[0, 0, 0], [1.6, 0, 0]])
    atoms.info["dft_dipole"] = np.array([1.0, 2.0, 3.0])
    atoms.set_array("q", np.array([0.5, -0.5]))
    keys = LabelKeys(others={"dipole": "dft_dipole", "charges": "q"})
    (one,), _ = from_atoms_list([atoms], keys)
    np.testing.assert_array_equal(one.labels["charges"], [0.5, -0.5])
    np.testing.assert_array_equal(one.labels["dipole"], [1, 2, 3])


def test_labels_of_a_structure_are_checked_and_kept() -> None:
    s = Structure([14], [[0, 0, 0]], labels={"x": [1.0]}, charge=-1, name="here")
    assert replace(s, energy=1.0).labels["x"] == [1.0] and replace(s, energy=1.0).charge == -1.0
    more = s.labelled(labels={"y": 2.0}, energy=3.0)
    assert set(more.labels) == {"x", "y"} and more.energy == 3.0 and more.charge == -1.0
    assert more.labelled(charge=None).charge is None and set(s.labels) == {"x"}
    assert more.positions is s.positions
    with pytest.raises(InputError, match=r"here: labels\['y'\] at index \(1,\) is nan"):
        s.labelled(labels={"y": [0.0, np.nan]})
    with pytest.raises(InputError, match="here: labels: forces is an argument of its own"):
        s.labelled(labels={"forces": [[0.0, 0.0, 0.0]]})
    with pytest.raises(InputError, match=r"here: forces: expected shape \(1, 3\)"):
        s.labelled(forces=np.zeros((2, 3)))
    with pytest.raises(InputError, match="labelled: expected energy, forces.* got cell"):
        s.labelled(cell=np.eye(3))
    with pytest.raises(InputError, match="here: charge at index .* is inf"):
        s.labelled(charge=np.inf)
