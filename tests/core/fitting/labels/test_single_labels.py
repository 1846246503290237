"""Frames that are neighbours, that are there twice, and forces that belong to no potential.

Labels are those of a shipped silicon model, so that they are derivatives of each other exactly.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.fitting.labels import duplicates, strangers, work
from acepot.units import GIGAPASCAL

ROOT = Path(__file__).parents[4]
Structures = list[Structure]


@pytest.fixture(scope="module")
def potential() -> acepot.Potential:
    return acepot.Potential(acepot.load(ROOT / "models" / "Si-mlearn" / "model.acepot"), threads=1)


def labelled(potential: acepot.Potential, structures: Structures) -> Structures:
    return [
        s.labelled(energy=r.energy, forces=r.forces, virial=r.virial)
        for s, r in zip(structures, potential.compute_all(structures), strict=True)
    ]


def silicon(lengths: np.ndarray | list[float], displaced: float, seed: int = 0) -> Structures:
    """Skewed cells of eight atoms, of several lengths, displaced in one way."""
    rng = np.random.default_rng(seed)
    face = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    parts = np.vstack([face, face + 0.25])
    shift = displaced * rng.normal(size=(8, 3))
    found = []
    for k, length in enumerate(lengths):
        cell = length * np.array([[1.0, 0.04, 0.0], [0.0, 1.02, -0.03], [0.02, 0.0, 0.97]])
        positions = parts @ cell + shift
        found.append(Structure([14] * 8, positions, cell, True, name=f"a.xyz frame {k}"))
    return found


@pytest.fixture(scope="module")
def volumes(potential: acepot.Potential) -> Structures:
    return labelled(potential, silicon(np.linspace(5.2, 5.75, 12), 0.05))


@pytest.fixture(scope="module")
def thermal(potential: acepot.Potential) -> Structures:
    """Thirty displaced cells, no two of which are alike."""
    rng = np.random.default_rng(3)
    every = [
        silicon([length], 0.12, seed=k)[0] for k, length in enumerate(rng.normal(5.45, 0.05, 30))
    ]
    return labelled(potential, [replace_name(s, k) for k, s in enumerate(every)])


def replace_name(s: Structure, k: int) -> Structure:
    return Structure(s.numbers, s.positions, s.cell, s.pbc, name=f"a.xyz frame {k}")


# ------------------------------------------------------------------ work


def test_energies_of_neighbours_differ_by_the_work_between_them(
    potential: acepot.Potential, volumes: Structures
) -> None:
    made = work.steps(volumes)
    assert len(made.energies) == 11
    np.testing.assert_allclose(made.energies, made.forces + made.virials, atol=2e-4)
    rng = np.random.default_rng(1)
    path = silicon([5.43], 0.05)
    for _ in range(6):
        last = path[-1]
        strain = np.eye(3) + 1e-3 * rng.normal(size=(3, 3))
        moved = last.positions @ strain + 1e-3 * rng.normal(size=(8, 3))
        path.append(Structure(last.numbers, moved, last.cell @ strain, True))
    turned = [  # what stands in another image is no displacement
        Structure(
            s.numbers, s.positions + np.outer(np.arange(8) % 3 - 1, s.cell[k % 3]), s.cell, True
        )
        for k, s in enumerate(path)
    ]
    made = work.steps(labelled(potential, turned))
    assert np.abs(made.energies).max() > 1e-4
    np.testing.assert_allclose(made.energies, made.forces + made.virials, atol=1e-6)


def test_sound_stresses_have_a_slope_of_one(volumes: Structures, thermal: Structures) -> None:
    found = work.steps(volumes).compare_virials()
    assert found is not None and abs(found.slope - 1) < 0.02
    assert abs(found.pressure) / GIGAPASCAL < 0.3
    assert list(work.findings(volumes, True)) == []
    assert work.steps(thermal).compare_virials() is None  # no two of them are neighbours


WRONG = {
    "sign": (-1.0, r"-0.99.*-dE/dV\): they have the wrong sign \(units: stress=-eV/Å\^3", True),
    "GPa": (1 / GIGAPASCAL, r"looks like GPa \(units: stress=GPa\)", True),
    "kbar, other sign": (-10 / GIGAPASCAL, r"kbar with the wrong sign \(units: stress=-kbar", True),
    "twice": (2.0, "so they are in another unit", False),
}


@pytest.mark.parametrize("name", WRONG)
def test_stresses_with_another_sign_or_unit_are_told(volumes: Structures, name: str) -> None:
    factor, message, stops = WRONG[name]
    # without forces, where nothing else tells
    wrong = [s.labelled(virial=factor * s.virial, forces=None) for s in silicon_at_rest(volumes)]
    (told,) = work.findings(wrong, True)
    assert re.search(message, told.text), told.text
    assert told.text.startswith("a.xyz frame 0, ") and told.wrong == stops
    assert not next(iter(work.findings(wrong, False))).wrong


def silicon_at_rest(volumes: Structures) -> Structures:
    """The same energies and virials, atoms as if they were where symmetry holds them."""
    first = volumes[0].positions @ np.linalg.inv(volumes[0].cell)
    return [replace(s, positions=first @ s.cell) for s in volumes]


def test_a_pressure_that_all_stresses_share_is_measured(volumes: Structures) -> None:
    shifted = [s.labelled(virial=s.virial + 3 * GIGAPASCAL * s.volume * np.eye(3)) for s in volumes]
    found = work.steps(shifted).compare_virials()
    assert found is not None and found.pressure / GIGAPASCAL == pytest.approx(3.0, abs=0.3)
    assert found.slope == pytest.approx(1.0, abs=0.03)


def test_forces_of_the_other_sign_are_told_by_neighbours(potential: acepot.Potential) -> None:
    path = []
    for k, size in enumerate(np.linspace(0.0, 0.2, 8)):
        path.append(replace_name(silicon([5.43], size)[0], k))
    sound = labelled(potential, path)
    assert list(work.findings(sound, False)) == []
    (told,) = work.findings([s.labelled(forces=-s.forces) for s in sound], False)
    assert "the forces have the wrong sign (units: forces=-eV/Å)" in told.text and told.wrong


# ------------------------------------------------------------------ duplicates


def moved(s: Structure, order: np.ndarray, rng: np.random.Generator) -> Structure:
    """The same in another place and orientation, images and order."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    images = rng.integers(-2, 3, size=(len(s), 3)) * s.pbc
    positions = (s.positions + images @ s.cell + rng.normal(size=3)) @ turn
    forces = None if s.forces is None else (s.forces @ turn)[order]
    return Structure(
        s.numbers[order], positions[order], s.cell @ turn, s.pbc, s.energy, forces, name="copy"
    )


@pytest.mark.parametrize("periodic", [True, False])
def test_copies_are_found_wherever_they_are(thermal: Structures, periodic: bool) -> None:
    rng = np.random.default_rng(5)
    every = thermal if periodic else [replace(s, pbc=np.zeros(3, bool)) for s in thermal]
    assert duplicates.duplicates(every) == []
    copies = [moved(every[k], rng.permutation(8), rng) for k in (4, 4, 9)]
    found = duplicates.duplicates([*every, *copies])
    assert [t.first.name for t in found] == ["a.xyz frame 4", "a.xyz frame 4", "a.xyz frame 9"]
    assert not any(t.contradicts for t in found)
    near = replace(every[3], positions=every[3].positions + 2e-3 * rng.normal(size=(8, 3)))
    other = replace(every[3], numbers=np.array([14] * 7 + [32]))
    assert duplicates.duplicates([*every, near, other]) == []


def test_alloys_with_all_distances_in_common_are_two(thermal: Structures) -> None:
    """Two arrangements on one lattice, homometric in a row of eight sites."""
    cell = np.diag([24.0, 4.0, 4.0])
    sites = np.column_stack([3.0 * np.arange(8), np.zeros(8), np.zeros(8)])
    first, second = ({0, 1, 3, 4}, {0, 1, 2, 5})  # the same differences, each as often
    alloys = [
        Structure([29 if k in chosen else 79 for k in range(8)], sites, cell, True)
        for chosen in (first, second)
    ]
    assert duplicates.duplicates(alloys) == []


def test_other_labels_of_one_structure_and_test_data_that_are_trained_are_told(
    thermal: Structures,
) -> None:
    copy = replace(thermal[4], name="b.xyz frame 0")
    twins = duplicates.duplicates([*thermal, copy])
    assert list(duplicates.findings(twins, [*thermal, copy], [])) == []
    line = duplicates.line(twins, [*thermal, copy])
    assert line == (
        "duplicates: 1 of 31 structures are there already, and count twice: b.xyz frame 0"
    )
    other = copy.labelled(energy=copy.energy + 0.8)
    twins = duplicates.duplicates([*thermal, other])
    (told,) = duplicates.findings(twins, [*thermal, other], [])
    assert "b.xyz frame 0: the same as a.xyz frame 4, but with other labels" in told.text
    assert "energies up to 100 meV/atom" in told.text
    (told,) = duplicates.findings(duplicates.duplicates([*thermal, copy]), thermal, [copy])
    assert "b.xyz frame 0: 1 of 1 test structures are training structures too" in told.text


# ------------------------------------------------------------------ forces


def spoiled(structures: Structures, k: int, forces: np.ndarray) -> Structures:
    return [s.labelled(forces=forces) if i == k else s for i, s in enumerate(structures)]


def said(structures: Structures) -> list[np.ndarray]:
    """What a witness that errs by 5 % says."""
    rng = np.random.default_rng(8)
    return [s.forces * (1 + 0.05 * rng.normal(size=s.forces.shape)) for s in structures]


def test_forces_that_do_not_add_up_to_zero_are_told(thermal: Structures) -> None:
    assert list(strangers.net_forces(thermal)) == []
    one = np.array(thermal[6].forces)
    one[2, 1] += 0.8
    (told,) = strangers.net_forces(spoiled(thermal, 6, one))
    assert re.match(r"a.xyz frame 6: the forces on all atoms add up to 0.8 eV/Å", told.text)
    rng = np.random.default_rng(2)
    (told,) = strangers.net_forces([s.labelled(forces=rng.normal(size=(8, 3))) for s in thermal])
    assert "a.xyz frame 0, a.xyz frame 1, a.xyz frame 2 and 27 more" in told.text
    held = [replace(s, fixed=np.arange(8) == 0) for s in spoiled(thermal, 6, one)]
    assert list(strangers.net_forces(held)) == []


def test_forces_in_another_order_of_atoms_are_told(thermal: Structures) -> None:
    assert list(strangers.strange_forces(thermal, said(thermal))) == []
    turned = spoiled(thermal, 6, np.roll(thermal[6].forces, 3, axis=0))
    (told,) = strangers.strange_forces(turned, said(thermal))
    assert told.text.startswith("a.xyz frame 6: the forces do not belong to the positions")


def test_a_pair_of_wrong_forces_that_adds_up_is_told(thermal: Structures) -> None:
    pair = np.array(thermal[6].forces)
    pair[2] += [0, 9, 0]
    pair[5] -= [0, 9, 0]
    told = list(strangers.strange_forces(spoiled(thermal, 6, pair), said(thermal)))
    assert [re.search("a.xyz frame 6: the force", one.text) is not None for one in told] == [True]
