"""Energies do not depend on how a structure is described; forces and virials turn with it.

Reference-free: an evaluator that is wrong in any index, sign or coupling fails here whatever
its coefficients are, on every construction path.
"""

import numpy as np
import pytest

from acepot.evaluate.protocol import Result
from acepot.structure import Structure
from acepot.tables import Tables

#: Relative to the largest entry of the quantity. Measured: worst 6e-13.
TOLERANCE = 1e-10


def _sizes(result: Result) -> dict[str, float]:
    """What deviations of each quantity are measured against.

    Forces that cancel by symmetry are compared with the pull of single neighbours, which the
    virial holds: |W| over the shortest distance in use, 1.35 Å, or so. Without any neighbours
    only an absolute comparison is left.
    """
    virial = max(np.abs(result.virials).max(), 1e-3)
    return {
        "energies": max(np.abs(result.energies).max(), 1e-3),
        "forces": max(np.abs(result.forces).max(), virial / 1.35),
        "virials": virial,
    }


def _differences(got: Result, want: Result) -> dict[str, float]:
    """Largest deviation of each quantity, relative to its size."""
    return {
        name: float(np.abs(getattr(got, name) - getattr(want, name)).max() / size)
        for name, size in _sizes(want).items()
    }


def _assert_same(got: Result, want: Result, what: str) -> None:
    for name, difference in _differences(got, want).items():
        assert difference < TOLERANCE, f"{name} differ by {difference:.1e}: {what}"


def _turned(result: Result, q: np.ndarray) -> Result:
    return Result(result.energies, result.forces @ q.T, q @ result.virials @ q.T)


def _picked(result: Result, order: np.ndarray) -> Result:
    return Result(result.energies[order], result.forces[order], result.virials[order])


def _moved(
    structure: Structure, positions: np.ndarray, cell: np.ndarray | None = None
) -> Structure:
    cell = structure.cell if cell is None else cell
    return Structure(structure.numbers, positions, cell, structure.pbc)


@pytest.mark.parametrize("proper", [True, False], ids=["rotation", "reflection"])
def test_energies_are_unchanged_and_forces_and_virials_turn_under_o3(case, rotation, proper):
    rng = np.random.default_rng(1)
    for name, structure in case.structures.items():
        want = case.compute(structure)
        q = rotation(rng, proper)
        turned = _moved(structure, structure.positions @ q.T, structure.cell @ q.T)
        what = f"{case.name}, {name}, {'rotation' if proper else 'reflection'}"
        _assert_same(case.compute(turned), _turned(want, q), what)


def test_inversion_changes_the_sign_of_forces_only(case):
    for name, structure in case.structures.items():
        want = case.compute(structure)
        mirrored = _moved(structure, -structure.positions, -structure.cell)
        _assert_same(case.compute(mirrored), _turned(want, -np.eye(3)), f"{case.name}, {name}")


def test_permuted_atoms_have_permuted_results(any_case):
    rng = np.random.default_rng(2)
    for name, structure in any_case.structures.items():
        order = rng.permutation(len(structure))
        permuted = Structure(
            structure.numbers[order], structure.positions[order], structure.cell, structure.pbc
        )
        want = _picked(any_case.compute(structure), order)
        _assert_same(any_case.compute(permuted), want, f"{any_case.name}, {name}, order {order}")


def test_atoms_may_be_moved_by_lattice_vectors_one_by_one(any_case):
    rng = np.random.default_rng(3)
    for name, structure in any_case.structures.items():
        steps = rng.integers(-3, 4, (len(structure), 3)) * structure.pbc
        shifted = _moved(structure, structure.positions + steps @ structure.cell)
        _assert_same(
            any_case.compute(shifted),
            any_case.compute(structure),
            f"{any_case.name}, {name}, lattice steps {steps.tolist()}",
        )


def test_translation_of_all_atoms_changes_nothing(any_case):
    rng = np.random.default_rng(4)
    for name, structure in any_case.structures.items():
        step = rng.uniform(-7, 7, 3)
        _assert_same(
            any_case.compute(_moved(structure, structure.positions + step)),
            any_case.compute(structure),
            f"{any_case.name}, {name}, step {step}",
        )


def test_another_basis_of_the_same_lattice_changes_nothing(any_case):
    rng = np.random.default_rng(5)
    for name in ("triclinic", "tiny cell", "outside the cell"):
        structure = any_case.structures[name]
        mix = np.eye(3, dtype=int)
        for i, j, k in ((0, 1, 1), (2, 0, -1), (1, 2, 1)):
            mix[i] += k * int(rng.integers(1, 3)) * mix[j]
        mix = mix[rng.permutation(3)]
        assert abs(round(np.linalg.det(mix))) == 1
        mixed = _moved(structure, structure.positions, mix @ structure.cell)
        _assert_same(
            any_case.compute(mixed),
            any_case.compute(structure),
            f"{any_case.name}, {name}, cell rows mixed by {mix.tolist()}",
        )


def test_a_supercell_has_a_multiple_of_the_energy(any_case):
    for name in ("triclinic", "tiny cell", "one periodic atom"):
        structure = any_case.structures[name]
        want = any_case.compute(structure)
        # Three copies in a skewed supercell: rows 3a + b, b, c - b.
        cell = np.array([[3, 1, 0], [0, 1, 0], [0, -1, 1]]) @ structure.cell
        positions = np.concatenate([structure.positions + k * structure.cell[0] for k in range(3)])
        copies = np.tile(np.arange(len(structure)), 3)
        got = any_case.compute(Structure(structure.numbers[copies], positions, cell, True))
        _assert_same(got, _picked(want, copies), f"{any_case.name}, {name}, three copies")
        assert abs(got.energy - 3 * want.energy) < TOLERANCE * max(np.abs(got.energies).sum(), 1)


def test_separate_fragments_do_not_feel_each_other(any_case):
    first, second = any_case.structures["molecule"], any_case.structures["two atoms"]
    both = Structure(
        np.concatenate((first.numbers, second.numbers)),
        np.concatenate((first.positions, second.positions + [40.0, -35.0, 50.0])),
    )
    parts = [any_case.compute(s) for s in (first, second)]
    want = Result(*(np.concatenate([getattr(p, n) for p in parts]) for n in
                    ("energies", "forces", "virials")))  # fmt: skip
    _assert_same(any_case.compute(both), want, any_case.name)


def test_forces_sum_to_zero_and_virials_are_symmetric(case):
    for name, structure in case.structures.items():
        result = case.compute(structure)
        sizes = _sizes(result)
        total = np.abs(result.forces.sum(axis=0)).max()
        assert total < TOLERANCE * sizes["forces"], f"{case.name}, {name}: sum {total:.1e}"
        skew = np.abs(result.virials - result.virials.transpose(0, 2, 1)).max()
        assert skew < TOLERANCE * sizes["virials"], f"{case.name}, {name}: skew {skew:.1e}"


def test_an_isolated_atom_has_its_reference_energy(any_case):
    structure = any_case.structures["one atom"]
    result = any_case.compute(structure)
    assert result.energies[0] == any_case.model.e0[any_case.species(structure)[0]]
    assert not result.forces.any() and not result.virials.any()


def test_inputs_are_unchanged(any_case):
    structure = any_case.structures["triclinic"]
    before = [np.array(a) for a in (structure.numbers, structure.positions, structure.cell)]
    digest = any_case.tables.digest
    first = any_case.compute(structure)
    adjoint = np.ones((len(structure), any_case.tables.widths[0], 1))
    given = adjoint.copy()
    any_case.evaluator.evaluate([structure], committee=True)
    any_case.evaluator.rows([structure])
    any_case.evaluator.values([structure])
    any_case.evaluator.pullback([structure], [[given]])
    np.testing.assert_array_equal(given, adjoint)
    after = (structure.numbers, structure.positions, structure.cell)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert any_case.tables.digest == digest
    # Nothing is remembered between calls either.
    again = any_case.compute(structure)
    np.testing.assert_array_equal(first.energies, again.energies)
    np.testing.assert_array_equal(first.forces, again.forces)


def _sees(tables: Tables, centre: int, neighbour: int) -> bool:
    """Whether a product of a centre holds a neighbour of the given species."""
    factors = tables.products[centre].factors
    return bool((tables.a_species[factors[factors < len(tables.a_l)]] == neighbour).any())


def test_energy_is_continuous_when_an_atom_crosses_the_cutoff(case):
    """A third atom on the far side of the centre keeps all but one distance out of reach."""
    tables = case.tables
    species = range(len(case.model.numbers))
    for s, z in ((s, z) for s in species for z in species):
        centre, other = case.model.numbers[s], case.model.numbers[z]
        if not (_sees(tables, s, z) or _sees(tables, z, s)):
            continue  # no function of this basis looks from one to the other
        ends = {float(t.end[a, b]) for t in tables.radial for a, b in ((s, z), (z, s))}
        for end in sorted(ends):

            def energy(distance: float, numbers=(centre, centre, other)) -> float:
                positions = [[0, 0, 0], [-1.1, 0.9, -0.8], distance * np.array([2, -1, 2]) / 3]
                return case.compute(Structure(numbers, positions)).energy

            outside = energy(end + 1e-9)
            near, far = (abs(energy(end - step) - outside) for step in (1e-7, 1e-4))
            what = f"{case.name}, {centre}-{other} at {end:.3f} Å: {near:.1e}, {far:.1e}"
            # At least linear, and not merely because nothing is there.
            assert near < 2e-3 * far + 1e-12 * max(abs(outside), 1.0), what
            assert far < 0.1, what
            if case.name == "two-elements-list":
                continue  # its silicon looks at silicon only where oxygen is near as well
            well_inside = abs(energy(0.8 * end) - outside)
            assert well_inside > 1e-6, f"{what}: the third atom is not seen at all"
