"""Wrong inputs are named before a fit, with file and frame; sound ones pass.

`data/copper.xyz` holds 14 structures of copper with energies, forces and stresses of the effective
medium theory, `data/lammps_dump.xyz` a frame as LAMMPS' `dump extxyz` writes it in metal units.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.errors import InputError
from acepot.fitting.choice import choose
from acepot.fitting.labels.examination import examine
from acepot.fitting.labels.findings import Finding
from acepot.fitting.recipe import Recipe
from acepot.io.structures.labels import LabelKeys
from acepot.structure import Structure
from acepot.units import BOHR, GIGAPASCAL, HARTREE, KILOCALORIE_PER_MOLE

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[4].parent / "shared" / "data"
Structures = list[Structure]


@pytest.fixture(scope="module")
def copper() -> Structures:
    return acepot.read_structures(DATA / "copper.xyz")[0]


def found(
    train: Structures, test: Structures | None = None, e0: dict[str, float] | None = None
) -> list[Finding]:
    names = ("energy", "forces", "virial")
    observables = [
        n for n in names if n == "energy" or any(getattr(s, n) is not None for s in train)
    ]
    recipe = Recipe(observables=tuple(observables), e0=e0)
    choice = choose(recipe, train, test or [], "observables")
    spec = choice.recipe.basis
    return examine(
        train, test or [], spec, observables, choice.e0, choice.origin, choice.shortest, 1
    )


def scaled(
    s: Structure, energy: float = 1.0, forces: float = 1.0, virial: float = 1.0
) -> Structure:
    return s.labelled(energy=energy * s.energy, forces=forces * s.forces, virial=virial * s.virial)


def stretched(s: Structure, length: float) -> Structure:
    return Structure(
        s.numbers, length * s.positions, length * s.cell, s.pbc, s.energy, s.forces, s.virial,
        s.config_type, s.name,
    )  # fmt: skip


def every(**factors: float) -> Callable[[Structures], Structures]:
    return lambda train: [scaled(s, **factors) for s in train]


def half(**factors: float) -> Callable[[Structures], Structures]:
    return lambda train: [scaled(s, **factors) if i % 2 else s for i, s in enumerate(train)]


def one_force(train: Structures) -> Structures:
    forces = np.array(train[7].forces)
    forces[0, 1] = 1e4
    return [s.labelled(forces=forces) if i == 7 else s for i, s in enumerate(train)]


def one_energy(shift: float) -> Callable[[Structures], Structures]:
    return lambda train: [
        s.labelled(energy=s.energy + shift) if i == 3 else s for i, s in enumerate(train)
    ]


def shifted(train: Structures) -> Structures:
    return [s.labelled(virial=s.virial + 10 * np.eye(3)) for s in train]


KCAL = KILOCALORIE_PER_MOLE
#: What is done to sound labels, what is said about it, and whether the fit stops.
WRONG: dict[str, tuple[Callable[[Structures], Structures], str, bool]] = {
    "no energies": (lambda t: [s.labelled(energy=None) for s in t], "no training structure", False),
    "energies per atom": (lambda t: [scaled(s, energy=1 / len(s)) for s in t], "per atom", True),
    "energies in Ha": (every(energy=1 / HARTREE), "energies in Ha", True),
    "energies in kcal/mol": (every(energy=1 / KCAL), "energies in kcal/mol", True),
    "forces in Ha/Bohr": (every(forces=BOHR / HARTREE), "forces in Ha/Bohr", True),
    "forces in kcal/mol/Å": (every(forces=1 / KCAL), "forces in kcal/mol/Å", True),
    "forces in eV/Bohr": (every(forces=BOHR), "forces in eV/Bohr", False),
    "positions in Bohr": (
        lambda t: [stretched(s, 1 / BOHR) for s in t],
        "positions in Bohr",
        False,
    ),
    "all in Ha": (every(energy=1 / HARTREE, forces=1 / HARTREE, virial=1 / HARTREE), "Ha", False),
    "all atomic": (
        lambda t: [
            stretched(scaled(s, 1 / HARTREE, BOHR / HARTREE, 1 / HARTREE), 1 / BOHR) for s in t
        ],
        "positions in Bohr",
        False,
    ),
    "all in kcal/mol": (every(energy=1 / KCAL, forces=1 / KCAL, virial=1 / KCAL), "unit", False),
    "half the energies in Ha": (half(energy=1 / HARTREE), "7 of 14 .* energies in Ha", True),
    "half of all in Ha": (half(energy=1 / HARTREE, forces=1 / HARTREE), "27.2 for Ha/Å", True),
    "forces turned": (every(forces=-1.0), "forces have the wrong sign", True),
    "virials turned": (every(virial=-1.0), "wrong sign .*stress=-eV/Å", True),
    "virials shifted": (shifted, "all virials are shifted by a pressure of", False),
    "virials in kbar": (every(virial=10 / GIGAPASCAL), "looks like kbar", True),
    "virials in GPa": (every(virial=1 / GIGAPASCAL), "looks like GPa", True),
    "one force": (one_force, r"copper.xyz frame 7: the force on atom 0 is 1e\+04 eV/Å", True),
    "one energy far off": (one_energy(500.0), r"copper.xyz frame 3: its energy per atom is", True),
    "one energy off": (
        one_energy(80.0),
        r"copper.xyz frame 3: .*energy per atom is 5 eV above",
        False,
    ),
}


def test_sound_labels_pass(copper: Structures) -> None:
    assert found(copper) == []


@pytest.mark.parametrize("name", WRONG)
def test_wrong_labels_are_named_with_file_and_frame(copper: Structures, name: str) -> None:
    change, message, stops = WRONG[name]
    told = found(change(copper))
    matching = [one for one in told if re.search(message, one.text)]
    assert matching, [one.text for one in told]
    assert any(one.wrong for one in told) == stops
    assert "copper.xyz frame" in matching[0].text or name == "no energies"


def isolated(symbol: int, energy: float) -> Structure:
    return Structure([symbol], [[0, 0, 0]], energy=energy, forces=[[0, 0, 0]], name="a.xyz frame 9")


def test_reference_energies_of_another_code_are_told(copper: Structures) -> None:
    (told,) = found(copper, e0={"Cu": -2041.84})
    assert not told.wrong
    assert re.search(r"E0 \(given\) leave \+2042 eV/atom .*the data give Cu 0.2068 eV", told.text)


def test_an_isolated_atom_that_contradicts_e0_is_told(copper: Structures) -> None:
    (told,) = found([*copper, isolated(29, 3.51)], e0={"Cu": 0.2})
    assert "a.xyz frame 9: an isolated Cu atom has 3.51 eV, but e0.Cu = 0.2 is given" in told.text
    assert found([*copper, isolated(29, 3.51)]) == []


def test_images_of_an_isolated_atom_are_told(copper: Structures) -> None:
    near = Structure(
        [29], [[0, 0, 0]], 5 * np.eye(3), True, energy=3.0, config_type="IsolatedAtom", name="near"
    )
    assert any(
        "near (IsolatedAtom): its images are 5 Å apart" in f.text for f in found([*copper, near])
    )


def test_elements_that_are_seen_once_or_in_the_test_only_are_told(copper: Structures) -> None:
    dimer = Structure([29, 28], [[0, 0, 0], [0, 0, 2.4]], energy=1.0, name="a.xyz frame 8")
    told = [one.text for one in found([*copper, dimer])]
    assert any("a.xyz frame 8: the only structure with Ni" in text for text in told)
    told = [one.text for one in found(copper, [dimer])]
    assert any("a.xyz frame 8: Ni is in no training structure" in text for text in told)


def test_all_electron_energies_in_another_unit_are_told() -> None:
    water = Structure(
        [8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], energy=-76.4, name="w.xyz frame 0"
    )
    assert any("those of all electrons in Ha" in one.text for one in found([water]))


def test_atoms_that_touch_are_told(copper: Structures) -> None:
    dimer = Structure([29, 29], [[0, 0, 0], [0, 0, 0.6]], energy=90.0, name="a.xyz frame 8")
    told = [one.text for one in found([*copper, dimer])]
    assert any("a.xyz frame 8: Cu and Cu are only 0.6 Å apart" in text for text in told)


# ------------------------------------------------------------------ in a fit

SMALL = {"order": 1, "degree": 4, "cutoff": 5.0, "pair": {"degree": 4}}


def fitted(path: Path, said: list[str], **data: object) -> acepot.Fit:
    return acepot.run_fit({"data": {"train": str(path), **data}, "basis": SMALL}, say=said.append)


def test_a_pressure_tensor_in_bar_stops_the_fit_and_its_unit_mends_it() -> None:
    path, said = DATA / "lammps_dump.xyz", []
    everything = {"fit": ["energy", "forces", "virial"]}
    with pytest.raises(InputError, match=r"lammps_dump.xyz frame 0: .*bar with the wrong sign"):
        fitted(path, said, **everything)
    fit = fitted(path, said, units={"stress": "-bar"}, **everything)
    stress = -fit.train[0].virial / fit.train[0].volume
    # the same Morse potential, differentiated by finite strain
    assert np.allclose(np.diag(stress), [-0.10951, -0.14596, -0.12752], atol=1e-5)
    assert fit.report["warnings"] == []
    fit = fitted(path, said, accept_labels=True, **everything)
    assert "bar with the wrong sign" in fit.report["warnings"][0]
    assert fitted(path, said, ignore=["stress"]).train[0].virial is None


def test_labels_that_cannot_be_right_stop_a_fit_in_memory(copper: Structures) -> None:
    with pytest.raises(InputError, match="copper.xyz frame 3: its energy per atom is"):
        acepot.fit(one_energy(500.0)(copper), SMALL)
    fit = acepot.fit(one_energy(500.0)(copper), SMALL, accept_labels=True)
    assert "frame 3" in fit.report["warnings"][0]


def test_e0_are_said_with_their_origin() -> None:
    said: list[str] = []
    fitted(DATA / "copper.xyz", said)
    assert "E0: Cu 0.206756 eV (least squares)" in said


def test_forces_under_another_name_are_told(tmp_path: Path) -> None:
    text = (DATA / "copper.xyz").read_text().replace("REF_forces", "frc")
    (tmp_path / "train.xyz").write_text(text)
    said: list[str] = []
    fit = fitted(tmp_path / "train.xyz", said)
    assert "fitting energy, and virial if consistent" in said
    assert fit.report["fitted"] == ["energy", "virial"]
    assert "its per-atom columns are species, pos, frc" in fit.report["warnings"][0]


def test_an_energy_under_a_weaker_key_is_told(tmp_path: Path) -> None:
    atom = '1\nLattice="20 0 0 0 20 0 0 0 20" energy=3.51 config_type=IsolatedAtom\nCu 0 0 0\n'
    (tmp_path / "train.xyz").write_text((DATA / "copper.xyz").read_text() + atom)
    fit = fitted(tmp_path / "train.xyz", [])
    (told,) = fit.report["warnings"]
    assert "1 structure has no REF_energy but an energy under energy (frame 14, Iso" in told


# ------------------------------------------------------------------ real sets


def _sets() -> list[str]:
    names = [str(p.relative_to(SHARED)) for p in sorted(SHARED.glob("*/*xyz*"))]
    return [n for n in names if not re.search("pace_potentials|ace1_models|isolated", n)]


#: In every run of the tests; the rest in the exhaustive one.
QUICK = ("tial/TiAl_tiny.xyz", "ta_fitsnap/Ta.extxyz.xz", "mlearn_zuo2020/Si_test.extxyz.xz")


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in _sets() or QUICK],
)
def test_real_data_stop_no_fit(shared_data: Path, name: str) -> None:
    keys = LabelKeys()
    if name.endswith("Si_tiny.xyz"):
        keys = LabelKeys("dft_energy", "dft_force", virial="dft_virial")
    train, _ = acepot.read_structures(shared_data / name, keys)
    assert [one.text for one in found(train) if one.wrong] == []


def test_weights_below_that_of_the_restraint_are_told(copper: Structures) -> None:
    """Weights are relative to each other, but not to the restraint, which then spoils the fit."""
    told: dict[float, list[str]] = {}
    for size in (1e-2, 1e-8):
        weights = {"default": {"energy": 30 * size, "forces": size, "virial": size}}
        fit = acepot.fit(copper, {"degree": 6, "cutoff": 5.0}, weights=weights)
        told[size] = [text for text in fit.report["warnings"] if text.startswith("weights: ")]
    assert told[1e-2] == []
    assert "no label has more than 3e-07, less than the artificial dimers" in told[1e-8][0]
