"""ACECalculator: the numbers of Potential in ASE's units, order and manners."""

from __future__ import annotations

import copy
import importlib
import io
import json
import pickle
import sys
import threading
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import acepot
from acepot import Model, Potential, Structure
from acepot.basis.choices import Pair, resolve
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, MissingDependency

ase = pytest.importorskip("ase")

from ase import Atoms, units  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.calculators.calculator import (  # noqa: E402
    CalculatorError,
    PropertyNotImplementedError,
)
from ase.calculators.fd import (  # noqa: E402
    calculate_numerical_forces,
    calculate_numerical_stress,
)
from ase.db import connect  # noqa: E402
from ase.filters import FrechetCellFilter, StrainFilter  # noqa: E402
from ase.io import Trajectory, read, write  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402
from ase.optimize import BFGS  # noqa: E402
from ase.stress import voigt_6_to_full_3x3_stress  # noqa: E402

from ase_ace import ACECalculator, with_spread  # noqa: E402

# ------------------------------------------------------------------ models and atoms


@cache
def _model(elements: tuple[str, ...] = ("O", "Si"), members: int = 0) -> Model:
    """Repulsive pairs and weak random many-body terms."""
    basis = resolve(BasisSpec(elements, order=2, degree=5, cutoff=4.0, pair=Pair(degree=3)))
    labels = basis.expansion().labels
    rng = np.random.default_rng(11)
    pair = labels.order == 0
    coefficients = np.where(pair, 0.0, 0.05 * rng.normal(size=len(pair)))
    coefficients[pair & (labels.n[:, 0] == 1)] = 1.0
    e0 = -np.arange(1.0, len(elements) + 1.0)
    spread = 0.02 * rng.normal(size=(members, len(pair)))
    return Model(basis, np.vstack([coefficients, coefficients + spread])[:, None], e0)


@cache
def _potential() -> Potential:
    return Potential(_model())


def _triclinic() -> Atoms:
    cell = [[4.6, 0.3, -0.5], [0.9, 5.1, 0.4], [-0.7, 1.1, 4.2]]
    fractions = np.random.default_rng(3).uniform(-0.2, 1.2, (5, 3))
    fractions[:, 0] = np.arange(5) / 5 + 0.03  # apart from each other
    return Atoms("SiO2SiO", scaled_positions=fractions, cell=cell, pbc=True)


def _molecule() -> Atoms:
    return Atoms("OSiO", [[0.1, 0.2, 1.5], [0.0, -0.1, 0.0], [1.2, 0.3, -0.9]])


def _atoms() -> dict[str, Atoms]:
    slab, slab_without_row = _triclinic(), _triclinic()
    slab.pbc = slab_without_row.pbc = (True, False, True)
    slab_without_row.cell[1] = 0.0
    wire = Atoms("SiO", [[0, 0, 0], [0.3, 1.4, 0.8]], cell=[0, 2.9, 0], pbc=(False, True, False))
    boxed = _molecule()
    boxed.cell = np.diag([9.0, 8.0, 7.0])
    return {
        "triclinic": _triclinic(),
        "small cell": Atoms("Si", cell=[[0, 1.9, 2.0], [2.1, 0, 1.8], [2.0, 2.2, 0.1]], pbc=True),
        "slab": slab,
        "slab without a third vector": slab_without_row,
        "wire": wire,
        "molecule": _molecule(),
        "molecule in a box": boxed,
        "single atom": Atoms("O", [[0.3, 0.1, 0.2]]),
    }


NAMES = list(_atoms())
WITH_STRESS = ("triclinic", "small cell", "slab")


def _attached(name: str) -> Atoms:
    atoms = _atoms()[name]
    atoms.calc = ACECalculator(_potential())
    return atoms


class Counting(Potential):
    """Counts its evaluations."""

    calls = 0

    def compute(self, structure: Structure, *, committee: bool = False) -> acepot.Result:
        """As Potential."""
        self.calls += 1
        return super().compute(structure, committee=committee)

    def bind(self, numbers: object, pbc: object, charge: float = 0.0) -> SimpleNamespace:
        """As Potential."""
        bound = super().bind(numbers, pbc, charge)

        def compute(positions: np.ndarray, cell: np.ndarray) -> object:
            self.calls += 1
            return bound.compute(positions, cell)

        return SimpleNamespace(compute=compute)


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", NAMES)
def test_properties_are_those_of_the_potential(name: str) -> None:
    atoms = _attached(name)
    structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    result = _potential().compute(structure)
    assert atoms.get_potential_energy() == pytest.approx(result.energy, abs=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_array_equal(atoms.get_forces(), result.forces)
    np.testing.assert_array_equal(atoms.get_potential_energies(), result.energies)
    if name in WITH_STRESS:
        stress = -result.virial / atoms.get_volume()
        np.testing.assert_allclose(atoms.get_stress(voigt=False), stress, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_forces_are_the_slope_of_the_energy(name: str) -> None:
    atoms = _attached(name)
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), numerical, rtol=1e-6, atol=1e-6)
    assert name == "single atom" or name == "small cell" or np.abs(numerical).max() > 0.01


@pytest.mark.parametrize("name", WITH_STRESS)
def test_stress_is_the_slope_of_the_energy_in_ase_order_and_sign(name: str) -> None:
    atoms = _attached(name)
    numerical = calculate_numerical_stress(atoms, eps=1e-4)
    assert len(set(np.round(np.abs(numerical), 5))) == 6, "all six components must differ"
    np.testing.assert_allclose(atoms.get_stress(), numerical, rtol=1e-5, atol=1e-7)


def test_a_compressed_crystal_has_negative_stress() -> None:
    atoms = bulk("Si", a=4.8)
    atoms.calc = ACECalculator(_model())
    assert atoms.get_stress()[:3].max() < -0.01


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_atoms_sum_to_the_whole(name: str) -> None:
    atoms = _attached(name)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())
    np.testing.assert_allclose(atoms.get_forces().sum(axis=0), 0.0, atol=1e-10)
    if name in WITH_STRESS:
        stresses = atoms.get_stresses()
        assert stresses.shape == (len(atoms), 6)
        np.testing.assert_allclose(stresses.sum(axis=0), atoms.get_stress(), atol=1e-14)


def test_virials_of_single_atoms_are_symmetric() -> None:
    """So that six numbers hold all of them."""
    atoms = _triclinic()
    structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    virials = _potential().compute(structure).virials
    np.testing.assert_allclose(virials, virials.transpose(0, 2, 1), atol=1e-12)


def test_a_single_atom_has_its_reference_energy() -> None:
    atoms = _attached("single atom")
    assert atoms.get_potential_energy() == -1.0
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((1, 3)))


def test_a_supercell_has_the_same_stress_and_more_energy() -> None:
    small, large = _attached("triclinic"), _attached("triclinic").repeat((2, 1, 2))
    large.calc = ACECalculator(_potential())
    assert large.get_potential_energy() == pytest.approx(4 * small.get_potential_energy())
    np.testing.assert_allclose(large.get_stress(), small.get_stress(), atol=1e-12)


# ------------------------------------------------------------------ stress that does not exist


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITH_STRESS])
@pytest.mark.parametrize("wanted", ["stress", "stresses"])
def test_stress_without_a_volume_is_an_error_but_energy_is_not(name: str, wanted: str) -> None:
    atoms = _attached(name)
    energy = atoms.get_potential_energy()
    with pytest.raises(PropertyNotImplementedError, match=f"{wanted}: expected a cell with a vol"):
        atoms.calc.get_property(wanted, atoms)
    assert atoms.get_potential_energy() == energy
    assert "stress" not in atoms.calc.results


def test_dependent_vectors_of_a_slab_give_energies_but_no_stress() -> None:
    atoms = _atoms()["slab"]
    atoms.cell[1] = 2.0 * atoms.cell[0]
    atoms.calc = ACECalculator(_potential())
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError, match="stress: expected a cell with a volume"):
        atoms.get_stress()


def test_charges_are_not_implemented() -> None:
    with pytest.raises(PropertyNotImplementedError, match="charges"):
        _attached("molecule").get_charges()


# ------------------------------------------------------------------ errors leave nothing behind


def _unknown(atoms: Atoms) -> None:
    atoms.numbers[1] = 79


def _nan(atoms: Atoms) -> None:
    atoms.positions[2, 1] = np.nan


def _flat(atoms: Atoms) -> None:
    atoms.cell[2] = atoms.cell[0] + atoms.cell[1]


def _nan_cell(atoms: Atoms) -> None:
    atoms.cell[0, 0] = np.inf


def _no_element(atoms: Atoms) -> None:
    atoms.numbers[0] = 0


def _same_place(atoms: Atoms) -> None:
    atoms.positions[1] = atoms.positions[0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_unknown, "atom 1 is Au, which this model does not know; it was made for O, Si"),
        (_nan, "positions: atom 2 is not at a finite position"),
        (_flat, "span no volume"),
        (_nan_cell, r"cell at index \(0, 0\) is inf|cell: expected vectors of finite length"),
        (_no_element, "expected atomic numbers 1 to 118, got 0"),
        (_same_place, "sit at the same point"),
    ],
)
@pytest.mark.parametrize("error", [InputError, CalculatorError])
def test_wrong_atoms_are_refused_and_no_number_remains(
    spoil: object, message: str, error: type[Exception]
) -> None:
    atoms = _attached("triclinic")
    energy = atoms.get_potential_energy()
    good = atoms.copy()
    spoil(atoms)  # type: ignore[operator]
    for ask in (atoms.get_potential_energy, atoms.get_forces, atoms.get_stress):
        with pytest.raises(error, match=message):
            ask()
        assert atoms.calc.results == {}
    assert atoms.calc.get_property("energy", good) == energy


def test_calculate_called_directly_leaves_no_old_results() -> None:
    calculator = _attached("triclinic").calc
    calculator.calculate(_triclinic())
    assert calculator.results
    bad = _triclinic()
    _nan(bad)
    with pytest.raises(InputError, match="not at a finite position"):
        calculator.calculate(bad)
    assert calculator.results == {}
    with pytest.raises(PropertyNotImplementedError, match="stress"):
        calculator.calculate(_molecule(), ["stress"])
    assert calculator.results == {}


def test_no_atoms_is_an_error() -> None:
    with pytest.raises(InputError, match="atoms: expected an Atoms object, got none"):
        ACECalculator(_potential()).get_property("energy")
    with pytest.raises(InputError, match="at least one atom"):
        ACECalculator(_potential()).get_property("energy", Atoms())


@pytest.mark.parametrize("model", [None, 3, _model().coefficients[0, 0]])
def test_something_else_than_a_model_is_an_error(model: object) -> None:
    with pytest.raises(InputError, match="model: expected a Model, Potential or path, got"):
        ACECalculator(model)  # type: ignore[arg-type]


# ------------------------------------------------------------------ caching


def test_one_evaluation_fills_everything_until_something_changes() -> None:
    potential = Counting(_model())
    atoms = _triclinic()
    atoms.calc = ACECalculator(potential)
    for _ in range(2):
        atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    assert potential.calls == 1
    for _ in range(2):
        atoms.get_stresses(), atoms.get_forces()
    assert potential.calls == 2, "stresses of single atoms are made when asked for"
    assert not atoms.calc.calculation_required(atoms, ["energy", "stresses"])
    atoms.set_initial_charges([0.1] * len(atoms))
    atoms.set_velocities(np.ones((len(atoms), 3)))
    atoms.get_forces()
    assert potential.calls == 2, "charges and velocities do not matter"
    changes = (
        lambda: atoms.rattle(0.01, seed=1),
        lambda: atoms.set_cell(atoms.cell * 1.01),
        lambda: atoms.set_pbc((True, True, False)),
        lambda: atoms.symbols.__setitem__(0, "O"),
    )
    energies = {atoms.get_potential_energy()}
    for number, change in enumerate(changes, start=3):
        change()
        assert atoms.calc.calculation_required(atoms, ["energy"])
        energies.add(atoms.calc.get_property("energy", atoms))
        assert potential.calls == number
    assert len(energies) == 5


def test_returned_arrays_are_copies_and_atoms_stay_as_they_were() -> None:
    atoms = _attached("triclinic")
    before = atoms.copy()
    atoms.get_forces()[:] = 7.0
    assert np.abs(atoms.get_forces() - 7.0).min() > 0
    assert atoms == before


# ------------------------------------------------------------------ committee


def test_the_committee_is_in_the_results_when_asked_for() -> None:
    model = _model(members=4)
    atoms = _triclinic()
    atoms.calc = ACECalculator(model, committee=True)
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    results = atoms.calc.results
    assert results["committee_energies"].shape == (4,)
    assert results["committee_forces"].shape == (4, 5, 3)
    assert results["committee_stress"].shape == (4, 6)
    for k, coefficients in enumerate(model.committee):
        other = _triclinic()
        other.calc = ACECalculator(Model(model.basis, coefficients, model.e0))
        assert results["committee_energies"][k] == pytest.approx(other.get_potential_energy())
        np.testing.assert_allclose(results["committee_forces"][k], other.get_forces(), atol=1e-10)
        np.testing.assert_allclose(results["committee_stress"][k], other.get_stress(), atol=1e-12)
    spread = np.sqrt(np.mean((results["committee_energies"] - energy) ** 2))
    assert results["energy_std"] == pytest.approx(spread) and spread > 0
    spread = np.sqrt(np.mean((results["committee_forces"] - forces) ** 2, axis=0))
    np.testing.assert_allclose(results["forces_std"], spread)
    plain = _triclinic()
    plain.calc = ACECalculator(model)
    np.testing.assert_allclose(plain.get_stress(), stress, rtol=0, atol=1e-15)
    assert not [key for key in plain.calc.results if "committee" in key or "std" in key]


def test_a_molecule_has_a_committee_without_stress() -> None:
    atoms = _molecule()
    atoms.calc = ACECalculator(_model(members=4), committee=True)
    atoms.get_forces()
    assert "committee_forces" in atoms.calc.results
    assert "committee_stress" not in atoms.calc.results


def test_set_switches_the_committee_and_discards_results() -> None:
    atoms = _molecule()
    atoms.calc = ACECalculator(_model(members=4))
    atoms.get_forces()
    atoms.calc.set(committee=True)
    assert atoms.calc.results == {}
    atoms.get_forces()
    assert len(atoms.calc.results["committee_energies"]) == 4
    with pytest.raises(InputError, match="set: expected committee or charge, got cutoff, model"):
        atoms.calc.set(model="other", cutoff=3.0)


def test_the_spread_of_a_committee_survives_being_written(tmp_path: Path) -> None:
    atoms = _triclinic()
    atoms.calc = ACECalculator(_model(members=4), committee=True)
    frame = with_spread(atoms)
    results = atoms.calc.results
    for name in ("frame.extxyz", "frame.traj"):
        write(tmp_path / name, frame)
        back = read(tmp_path / name)
        assert back.info["energy_std"] == pytest.approx(results["energy_std"], abs=1e-7)
        np.testing.assert_allclose(
            back.info["committee_energies"], results["committee_energies"], atol=1e-7
        )
        np.testing.assert_allclose(back.get_forces(), results["forces"], atol=1e-7)
        np.testing.assert_allclose(back.get_stress(), results["stress"], atol=1e-7)
    back = read(tmp_path / "frame.extxyz")
    np.testing.assert_allclose(back.arrays["forces_std"], results["forces_std"], atol=1e-7)
    assert "forces_std" not in atoms.arrays and not atoms.info


def test_a_spread_needs_a_committee() -> None:
    atoms = _triclinic()
    atoms.calc = ACECalculator(_model(members=4))
    with pytest.raises(InputError, match=r"expected an ACECalculator\(..., committee=True\)"):
        with_spread(atoms)


def test_a_committee_asked_of_a_model_without_one_is_an_error() -> None:
    with pytest.raises(InputError, match="this model has no committee"):
        ACECalculator(_model(), committee=True)


# ------------------------------------------------------------------ files, copies, imports


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_loaded(kind: type, tmp_path: Path) -> None:
    path = tmp_path / "silica.acepot"
    acepot.save(_model(), path)
    calculator = ACECalculator(kind(path))
    assert calculator.todict()["model"] == str(path)
    assert calculator.todict()["digest"] == _potential().tables.digest
    energy = _attached("triclinic").get_potential_energy()
    assert calculator.get_property("energy", _triclinic()) == energy


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(acepot.AceError, match=r"nowhere\.acepot"):
        ACECalculator(tmp_path / "nowhere.acepot")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_give_the_same_numbers(duplicate: object) -> None:
    atoms = _triclinic()
    atoms.calc = ACECalculator(_model(members=2), committee=True)
    twin = duplicate(atoms)  # type: ignore[operator]
    energy = atoms.get_potential_energy()
    assert twin.calc is not atoms.calc and twin.calc.results == {}
    assert twin.get_potential_energy() == energy
    np.testing.assert_array_equal(twin.get_stress(), atoms.get_stress())
    assert duplicate(atoms.calc).results["energy"] == energy  # type: ignore[operator]
    assert twin.calc.todict() == atoms.calc.todict()


def test_parameters_are_plain_and_name_the_model() -> None:
    calculator = ACECalculator(_model(members=2), committee=True)
    parameters = json.loads(json.dumps(calculator.todict()))
    digest = Potential(_model(members=2)).tables.digest
    assert parameters == {"model": None, "digest": digest, "committee": True}
    assert calculator.name == "acepot"


@pytest.mark.parametrize("name", ["triclinic", "slab", "molecule"])
@pytest.mark.parametrize("committee", [False, True])
def test_writers_of_ase_keep_the_results(name: str, committee: bool, tmp_path: Path) -> None:
    atoms = _atoms()[name]
    atoms.calc = ACECalculator(_model(members=2), committee=committee)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    with Trajectory(tmp_path / "a.traj", "w", atoms) as trajectory:
        trajectory.write()
        atoms.rattle(0.01, seed=4)
        atoms.get_forces()
        trajectory.write()
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    with connect(tmp_path / "a.json") as database:
        database.write(atoms)
    first = read(tmp_path / "a.traj", index=0)
    assert first.get_potential_energy() == energy
    np.testing.assert_array_equal(first.get_forces(), forces)
    for again in (
        read(tmp_path / "a.traj"),
        read(tmp_path / "a.xyz", format="extxyz"),
        connect(tmp_path / "a.json").get_atoms(id=1),
    ):
        assert again.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), 1e-7)
        np.testing.assert_allclose(again.get_forces(), atoms.get_forces(), atol=1e-7)
        if name in WITH_STRESS:
            np.testing.assert_allclose(again.get_stress(), atoms.get_stress(), atol=1e-7)


def test_exported_properties_are_those_with_a_name_in_ase() -> None:
    atoms = _triclinic()
    atoms.calc = ACECalculator(_model(members=2), committee=True)
    properties = atoms.get_properties(["energy", "stress"])
    assert properties["energy"] == atoms.get_potential_energy()
    assert "energy_std" not in properties and "energy_std" in atoms.calc.results


def test_without_ase_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] in ("ase", "ase_ace")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ase", None)
    with pytest.raises(MissingDependency, match=r"pip install acepot\[ase\]"):
        importlib.import_module("ase_ace")


# ------------------------------------------------------------------ what people do with it


def test_the_cell_filter_relaxes_atoms_and_cell() -> None:
    atoms = bulk("Si", "diamond", a=5.0) * (2, 1, 1)
    atoms.rattle(0.05, seed=2)
    atoms.cell[0, 1] += 0.1
    atoms.calc = ACECalculator(_model())
    pressure = 0.02
    start, stress = atoms.get_potential_energy(), np.abs(atoms.get_stress()[:3] + pressure).max()
    enthalpy = start + pressure * atoms.get_volume()
    with BFGS(FrechetCellFilter(atoms, scalar_pressure=pressure), logfile=io.StringIO()) as relax:
        relax.run(fmax=1e-3, steps=5)
    assert atoms.get_potential_energy() + pressure * atoms.get_volume() < enthalpy
    assert np.abs(atoms.get_stress()[:3] + pressure).max() < 0.8 * stress


def test_a_slab_relaxes_in_its_plane() -> None:
    atoms = _attached("slab")
    start = atoms.get_potential_energy()
    mask = [1, 0, 1, 0, 1, 0]
    with BFGS(StrainFilter(atoms, mask=mask), logfile=io.StringIO()) as relax:
        relax.run(fmax=1e-3, steps=3)
    assert atoms.get_potential_energy() < start


def test_dynamics_at_constant_energy_conserve_it() -> None:
    atoms = bulk("Si", "diamond", a=5.2, cubic=True)
    atoms.calc = ACECalculator(_model())
    rng = np.random.default_rng(8)
    speed = np.sqrt(units.kB * 600 / atoms.get_masses())[:, None]
    atoms.set_velocities(speed * rng.normal(size=(len(atoms), 3)))
    kinetic, energies = [], []
    with VelocityVerlet(atoms, timestep=1.0 * units.fs) as dynamics:
        for _ in range(40):
            dynamics.run(5)
            energies.append(atoms.get_total_energy())
            kinetic.append(atoms.get_kinetic_energy())
    assert np.ptp(energies) < 0.01 * np.ptp(kinetic), (np.ptp(energies), np.ptp(kinetic))
    assert np.ptp(kinetic) > 0.05
    np.testing.assert_allclose(
        voigt_6_to_full_3x3_stress(atoms.get_stress()), atoms.get_stress(voigt=False)
    )


def test_threads_are_the_evaluators_and_change_no_number() -> None:
    atoms = Atoms("SiOSi", [[0, 0, 0], [1.7, 0.2, 0], [0.3, 2.1, 0.4]], cell=[4, 5, 6], pbc=True)
    one, two = (ACECalculator(_model(), threads=threads) for threads in (1, 2))
    np.testing.assert_allclose(one.get_forces(atoms), two.get_forces(atoms), atol=1e-12)
    with pytest.raises(InputError, match="threads: expected none beside a Potential"):
        ACECalculator(Potential(_model()), threads=1)


def test_a_precision_is_the_evaluators_and_says_what_it_costs() -> None:
    atoms = Atoms("SiOSi", [[0, 0, 0], [1.7, 0.2, 0], [0.3, 2.1, 0.4]], cell=[4, 5, 6], pbc=True)
    double, mixed = (ACECalculator(_model(), threads=1, precision=p) for p in (None, "mixed"))
    exact, rounded = double.get_forces(atoms), mixed.get_forces(atoms)
    assert 0 < np.abs(exact - rounded).max() < 1e-4 * np.abs(exact).max()
    assert double.potential.precision_loss is None
    assert mixed.potential.precision_loss.precision == "mixed"
    with pytest.raises(InputError, match="precision: expected none beside a Potential"):
        ACECalculator(Potential(_model()), precision="mixed")
    with pytest.raises(InputError, match="precision: expected double, mixed or single, got 'fast'"):
        ACECalculator(_model(), precision="fast")


def test_one_calculator_serves_several_threads() -> None:
    """Each gets the forces of its own atoms."""
    model = acepot.load(Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot")
    calculator = ACECalculator(model, threads=1)
    rng, several, exact = np.random.default_rng(3), [], []
    for _ in range(4):
        atoms = bulk("Si", cubic=True) * (2, 2, 2)
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
        structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, True)
        exact.append(Potential(model).compute(structure).forces)
        atoms.calc = calculator
        several.append(atoms)
    off: list[float] = []

    def ask(k: int) -> None:
        for _ in range(40):
            several[k].positions[0, 0] += 1e-10  # a new calculation
            off.append(float(np.abs(several[k].get_forces() - exact[k]).max()))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(off) == 160
    assert max(off) < 1e-6
    again = pickle.loads(pickle.dumps(calculator))
    assert again.get_property("energy", several[0]) == pytest.approx(
        calculator.get_property("energy", several[0])
    )
