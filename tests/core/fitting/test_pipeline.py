"""From labelled structures to a model: the laws of the whole journey and of its small steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acepot import Fit, Model, Potential, Structure, run_fit
from acepot.basis.choices import Pair, resolve
from acepot.basis.envelope import PolynomialEnvelope
from acepot.basis.radial import Legendre, Orthonormal
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import Agnesi
from acepot.errors import InputError
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.fitting.assembly import StructureRows, assemble, in_threads, structure_rows
from acepot.fitting.config import FitConfig, Restraint, Weights, dump_config, load_config
from acepot.fitting.dataset import elements, is_isolated, reference_energies
from acepot.fitting.gathered import Gathered
from acepot.fitting.partition import Partition
from acepot.fitting.restraint import applies, restraint_rows
from acepot.io import modelfile
from acepot.io.structures import extxyz
from acepot.lowering import lower
from acepot.units import GIGAPASCAL

CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])
BASIS = {"elements": ["O", "Si"], "order": 2, "degree": 4, "cutoff": 4.0, "pair": {"degree": 3}}
#: No prior, no damping, no restraint: what the data say and nothing else.
PLAIN = {
    "basis": BASIS,
    "solver": {"kind": "qr", "damping": 0},
    "prior": {"kind": "none"},
    "restraint": {"weight": 0},
}

#: The first as it comes, whose damping is chosen; the second plain; the third the default.
SOLVERS = {
    "qr": {"kind": "qr"},
    "plain": {"kind": "qr", "damping": 0},
    "blr": {"kind": "blr"},
}


def random_model(seed: int = 1) -> Model:
    spec = resolve(
        BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0, pair=Pair(degree=3))
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    return Model(spec, rng.normal(size=basis_size(spec)["total"]) / 20, np.array([-5.0, -3.0]))


def shaken(rng: np.random.Generator, group: str = "default", strain: float = 0.02) -> Structure:
    cell = CELL @ (np.eye(3) + rng.normal(scale=strain, size=(3, 3)))
    positions = SITES @ cell + rng.normal(scale=0.12, size=(4, 3))
    return Structure(rng.permutation([8, 8, 14, 14]), positions, cell, True, config_type=group)


def labelled(model: Model, structures: list[Structure]) -> list[Structure]:
    results = Potential(model, threads=1).compute_all(structures)
    return [
        replace(s, energy=r.energy, forces=r.forces, virial=r.virial)
        for s, r in zip(structures, results, strict=True)
    ]


def atom(number: int, energy: float | None, **more: object) -> Structure:
    return Structure([number], [[0.1, 0.2, 0.3]], energy=energy, **more)


@pytest.fixture(scope="module")
def truth() -> Model:
    return random_model()


@pytest.fixture(scope="module")
def structures(truth: Model) -> list[Structure]:
    """Sixteen cells in two groups and both atoms alone, labelled by the true model."""
    rng = np.random.default_rng(2)
    groups = [shaken(rng, "hot" if k % 2 else "cold") for k in range(16)]
    return labelled(truth, [*groups, atom(8, None), atom(14, None)])


@pytest.fixture
def written(tmp_path: Path, structures: list[Structure]) -> Callable[..., str]:
    """Write structures to a file and name it."""

    def write(chosen: list[Structure] | None = None, name: str = "train.xyz") -> str:
        extxyz.write_structures(tmp_path / name, structures if chosen is None else chosen)
        return str(tmp_path / name)

    return write


def fit_of(train: str, *, threads: int = 1, data: dict[str, Any] | None = None, **more: Any) -> Fit:
    return run_fit({"data": {"train": train, **(data or {})}, **PLAIN, **more}, threads=threads)


def spoiled(structure: Structure, rng: np.random.Generator) -> Structure:
    """Labels that have nothing to do with the structure."""
    return replace(
        structure,
        energy=structure.energy + rng.normal(),
        forces=structure.forces + rng.normal(size=structure.forces.shape),
        virial=structure.virial + np.diag(rng.normal(size=3)),
    )


# ------------------------------------------------------------------ labels, units, signs


def assert_same_predictions(one: Model, other: Model) -> None:
    rng = np.random.default_rng(3)
    fresh = [shaken(rng, strain=0.05) for _ in range(4)]
    for a, b in zip(
        Potential(one, threads=1).compute_all(fresh),
        Potential(other, threads=1).compute_all(fresh),
        strict=True,
    ):
        np.testing.assert_allclose(a.energy, b.energy, atol=1e-6)
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-6)
        np.testing.assert_allclose(a.virial, b.virial, atol=1e-6)


@pytest.mark.parametrize(
    "fitted",
    [("energy", "forces", "virial"), ("energy", "forces"), ("energy", "virial"), ("forces",)],
    ids=" ".join,
)
def test_a_fit_recovers_the_model_that_made_its_labels(
    truth: Model, written: Callable[..., str], fitted: tuple[str, ...]
) -> None:
    fit = fit_of(written(), data={"fit": list(fitted)})
    assert_same_predictions(fit.model, truth)
    for name, letter in (("energy", "E"), ("forces", "F"), ("virial", "V")):
        assert fit.report["train"]["all"][letter]["rmse"] < 1e-3, name
    assert fit.report["fitted"] == list(fitted)


@pytest.mark.parametrize("label", ["stress", "virial"])
def test_stress_and_virial_labels_have_the_signs_of_their_names(
    truth: Model, written: Callable[..., str], tmp_path: Path, label: str
) -> None:
    """stress = (1/V) dE/dε and virial = -dE/dε: fitted alone, they must give the right model."""
    rng = np.random.default_rng(4)
    frames = labelled(truth, [shaken(rng, strain=0.05) for _ in range(12)])
    lines = []
    for s in frames:
        factor = 1.0 if label == "virial" else -1 / s.volume
        tensor = " ".join(f"{x:.17g}" for x in (factor * s.virial).ravel())
        cell = " ".join(f"{x:.17g}" for x in s.cell.ravel())
        lines += ["4", f'Lattice="{cell}" Properties=species:S:1:pos:R:3 {label}="{tensor}"']
        symbols = {8: "O", 14: "Si"}
        for z, r in zip(s.numbers, s.positions, strict=True):
            lines.append(symbols[z] + " " + " ".join(f"{x:.17g}" for x in r))
    path = tmp_path / "labels.xyz"
    path.write_text("\n".join(lines) + "\n")
    e0 = {"O": -5.0, "Si": -3.0}
    fit = fit_of(str(path), data={"fit": ["virial"]}, e0=e0)
    assert fit.report["train"]["all"]["V"]["rmse"] < 1e-3
    assert_same_predictions(fit.model, truth)


ALL, NO_VIRIAL = {"fit": ["energy", "forces", "virial"]}, {"fit": ["energy", "forces"]}


def test_virials_are_fitted_when_asked_for_and_never_when_not(
    truth: Model, written: Callable[..., str], structures: list[Structure]
) -> None:
    wrong = [
        s if s.virial is None else replace(s, virial=s.virial + 3 * np.eye(3)) for s in structures
    ]
    honest = fit_of(written(), data=NO_VIRIAL)
    without = fit_of(written(wrong, "wrong.xyz"), data=NO_VIRIAL)
    np.testing.assert_array_equal(honest.model.coefficients, without.model.coefficients)
    assert {p.quantities for p in without.probes} <= {("energy", "forces"), ("energy",)}
    asked = fit_of(written(wrong, "wrong.xyz"), data=ALL)
    assert not np.allclose(asked.model.coefficients, honest.model.coefficients, rtol=1e-3)
    # They are compared all the same.
    assert without.report["train"]["all"]["V"]["rmse"] > 100


WRONG_VIRIALS = {
    "sign": (lambda w, v: -w, "labels are -1 times what energies and forces say"),
    "kbar for GPa": (lambda w, v: 10 * w, "labels are 10 times what energies and forces say"),
    "Pulay": (lambda w, v: w + 3 * GIGAPASCAL * v * np.eye(3), "labels are 3.0 GPa off on average"),
}


@pytest.mark.parametrize("name", WRONG_VIRIALS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_virials_are_left_out_where_they_contradict_the_rest(
    written: Callable[..., str], structures: list[Structure], name: str, solver: str
) -> None:
    change, reason = WRONG_VIRIALS[name]
    wrong = [
        s if s.virial is None else replace(s, virial=change(s.virial, abs(np.linalg.det(s.cell))))
        for s in structures
    ]
    said: list[str] = []
    config = {"data": {"train": written(wrong, "wrong.xyz")}, **PLAIN, "solver": SOLVERS[solver]}
    fit = run_fit(config, say=said.append, threads=1)
    assert fit.report["fitted"] == ["energy", "forces"]
    assert fit.report["virials"]["decision"] == "compared"
    assert f"virials are compared but not fitted: {reason}" in said
    assert fit.model.provenance["virials"]["reason"] == reason
    stated = run_fit(config | {"data": config["data"] | NO_VIRIAL}, threads=1)  # type: ignore[operator]
    for one, other in zip(fit.train_results, stated.train_results, strict=True):
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_virials_are_fitted_where_they_are_consistent(
    written: Callable[..., str], solver: str
) -> None:
    said: list[str] = []
    config = {"data": {"train": written()}, **PLAIN, "solver": SOLVERS[solver]}
    fit = run_fit(config, say=said.append, threads=1)
    assert fit.report["fitted"] == ["energy", "forces", "virial"]
    found = fit.report["virials"]
    assert found["decision"] == "fitted" and abs(found["offset in GPa"]) < 0.1
    assert found["factor"] == pytest.approx(1.0, abs=0.05) and found["rise of other residuals"] < 2
    assert any(line.startswith("virials are fitted too: labels are 0.0") for line in said)
    stated = run_fit(config | {"data": config["data"] | ALL}, threads=1)  # type: ignore[operator]
    assert fit.report["solver"]["rows"] == stated.report["solver"]["rows"]
    for one, other in zip(fit.train_results, stated.train_results, strict=True):
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-7)
        np.testing.assert_allclose(one.virial, other.virial, atol=1e-7)


def test_what_is_said_while_fitting_names_files_labels_and_sizes(
    written: Callable[..., str],
) -> None:
    said: list[str] = []
    config = {"data": {"train": written(), "test": written(name="t.xyz")}, **PLAIN}
    run_fit(config, say=said.append, threads=1)
    text = "\n".join(said)
    for part in (
        "train.xyz: 18 structures", "t.xyz: 18 structures", "18 energies (REF_energy)",
        "fitting energy, forces, and virial if consistent", "functions for O Si",
        "qr",
    ):  # fmt: skip
        assert part in text, part


# ------------------------------------------------------------------ E0


def test_given_energies_beat_isolated_atoms_which_beat_least_squares() -> None:
    molecule = Structure([8, 14], [[0, 0, 0], [1.6, 0, 0]], energy=-20.0)
    sets = [molecule, atom(8, -4.0), atom(14, -6.0)]
    symbols = ("O", "Si")
    assert reference_energies(sets, symbols, None, 4.0) == (
        {"O": -4.0, "Si": -6.0},
        {"O": "isolated atom", "Si": "isolated atom"},
    )
    assert reference_energies(sets, symbols, {"O": -1.0}, 4.0) == (
        {"O": -1.0, "Si": -6.0},
        {"O": "given", "Si": "isolated atom"},
    )
    energies, origin = reference_energies(sets[:2], symbols, None, 4.0)
    assert origin == {"O": "isolated atom", "Si": "least squares"}
    # What O does not explain, exactly: both structures can be met.
    assert energies == pytest.approx({"O": -4.0, "Si": -16.0})


def test_least_squares_energies_are_those_of_the_mean_error_per_atom() -> None:
    rng = np.random.default_rng(5)
    sets = []
    for k in range(9):
        numbers = rng.choice([1, 8, 14], size=3 + k)
        positions = rng.normal(size=(len(numbers), 3))
        energy = float(rng.normal() - 1.5 * len(numbers))
        sets.append(Structure(numbers, positions, energy=energy))
    symbols = ("H", "O", "Si")
    energies, origin = reference_energies(sets, symbols, {"O": -2.0}, 4.0)
    assert origin == {"H": "least squares", "O": "given", "Si": "least squares"}

    def loss(h: float, si: float) -> float:
        total = 0.0
        for s in sets:
            n = [(s.numbers == z).sum() for z in (1, 8, 14)]
            total += ((s.energy - h * n[0] + 2.0 * n[1] - si * n[2]) / len(s)) ** 2
        return total

    best = loss(energies["H"], energies["Si"])
    for dh, dsi in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        assert loss(energies["H"] + dh, energies["Si"] + dsi) > best


def test_compositions_that_do_not_separate_elements_give_the_smallest_energies() -> None:
    sets = [Structure([8, 14], [[0, 0, 0], [1.6 + k, 0, 0]], energy=-10.0) for k in range(3)]
    energies, _ = reference_energies(sets, ("O", "Si"), None, 4.0)
    assert energies == pytest.approx({"O": -5.0, "Si": -5.0})


def test_isolated_atoms_that_disagree_are_an_error_that_names_the_remedy() -> None:
    sets = [atom(14, -3.0, name="a.xyz frame 0"), atom(14, -3.1, name="a.xyz frame 7")]
    with pytest.raises(InputError, match=r"frame 7: a second isolated Si atom.*give e0\.Si"):
        reference_energies(sets, ("Si",), None, 4.0)
    assert reference_energies(sets, ("Si",), {"Si": -3.0}, 4.0)[1] == {"Si": "given"}
    same = [sets[0], atom(14, -3.0 + 1e-9)]
    assert reference_energies(same, ("Si",), None, 4.0)[0] == {"Si": -3.0}


def test_an_atom_that_sees_its_own_image_is_not_isolated() -> None:
    near, far = 3.0 * np.eye(3), 9.0 * np.eye(3)
    assert not is_isolated(atom(14, -3.0, cell=near, pbc=True), 4.0)
    assert is_isolated(atom(14, -3.0, cell=far, pbc=True), 4.0)
    assert is_isolated(atom(14, -3.0, cell=near), 4.0)
    assert not is_isolated(Structure([14, 14], [[0, 0, 0], [50.0, 0, 0]]), 4.0)


def test_without_energies_the_atoms_have_none() -> None:
    forces_only = Structure([14], [[0, 0, 0]], forces=np.zeros((1, 3)))
    assert reference_energies([forces_only], ("Si",), None, 4.0) == (
        {"Si": 0.0}, {"Si": "no energies"}
    )  # fmt: skip
    # An isolated atom without an energy says nothing.
    sets = [forces_only, Structure([14, 14], [[0, 0, 0], [2.0, 0, 0]], energy=-8.0)]
    assert reference_energies(sets, ("Si",), None, 4.0)[0] == pytest.approx({"Si": -4.0})


def test_energies_of_elements_that_are_not_there_are_an_error() -> None:
    with pytest.raises(InputError, match=r"e0: Ge is not among the elements \['Si'\]"):
        reference_energies([atom(14, -3.0)], ("Si",), {"Ge": 1.0}, 4.0)


def test_elements_are_those_of_all_structures_by_atomic_number() -> None:
    sets = [Structure([14, 1], np.eye(3)[:2]), atom(8, None)]
    assert elements(sets) == ("H", "O", "Si")


def test_a_fit_tells_where_its_atomic_energies_come_from(
    written: Callable[..., str], structures: list[Structure]
) -> None:
    fit = fit_of(written())
    assert fit.report["e0"]["O"] == {"energy": -5.0, "origin": "isolated atom"}
    given = fit_of(written(), e0={"Si": -2.0})
    assert given.report["e0"]["Si"] == {"energy": -2.0, "origin": "given"}
    np.testing.assert_array_equal(given.model.e0, [-5.0, -2.0])
    without = fit_of(written(structures[:-2], "no atoms.xyz"))
    assert without.report["e0"]["Si"]["origin"] == "least squares"


def test_elements_of_the_test_set_are_part_of_the_model(
    written: Callable[..., str], structures: list[Structure]
) -> None:
    silicon = [replace(s, numbers=np.full(4, 14)) for s in structures[:4]]
    basis = {k: v for k, v in BASIS.items() if k != "elements"}
    config = {
        "data": {"train": written(silicon, "si.xyz"), "test": written(structures[:1], "t.xyz")},
        "basis": basis,
    }
    fit = run_fit(config, threads=1)
    assert fit.model.numbers == (8, 14) and fit.config.basis.elements == ("O", "Si")
    assert fit.report["e0"]["O"] == {"energy": 0.0, "origin": "not in the training data"}
    assert fit.report["e0"]["Si"]["origin"] == "least squares"
    with pytest.raises(InputError, match=r"basis.elements: the data hold O, which is not among"):
        run_fit(config | {"basis": basis | {"elements": ["Si"]}}, threads=1)


# ------------------------------------------------------------------ weights


def test_a_group_of_weight_zero_changes_nothing(
    written: Callable[..., str], structures: list[Structure]
) -> None:
    rng = np.random.default_rng(6)
    wrong = [spoiled(s, rng) if s.config_type == "hot" else s for s in structures]
    none = {"energy": 0, "forces": 0, "virial": 0}
    silenced = fit_of(written(wrong, "wrong.xyz"), weights={"hot": none})
    without = fit_of(written([s for s in structures if s.config_type != "hot"], "cold.xyz"))
    np.testing.assert_array_equal(silenced.model.coefficients, without.model.coefficients)
    heard = fit_of(written(wrong, "wrong.xyz"))
    assert not np.allclose(heard.model.coefficients, without.model.coefficients, rtol=1e-2)
    # Its errors are reported all the same.
    assert silenced.report["train"]["hot"]["F"]["rmse"] > 100
    assert silenced.report["train"]["cold"]["F"]["rmse"] < 1e-3


def test_weights_that_leave_nothing_to_fit_are_refused(written: Callable[..., str]) -> None:
    none = {"energy": 0, "forces": 0, "virial": 5}
    with pytest.raises(InputError, match="^weights: all energy, forces labels of the training"):
        fit_of(written(), weights={name: none for name in ("hot", "cold", "default")})


def test_a_group_of_large_weight_wins(
    written: Callable[..., str], structures: list[Structure]
) -> None:
    rng = np.random.default_rng(7)
    path = written([spoiled(s, rng) if s.config_type == "hot" else s for s in structures], "w.xyz")
    even = fit_of(path).report["train"]["cold"]["F"]["rmse"]
    heavy = {"cold": {"energy": 3000, "forces": 100, "virial": 100}}
    assert fit_of(path, weights=heavy).report["train"]["cold"]["F"]["rmse"] < 0.1 * even


def test_a_group_without_weights_of_its_own_takes_the_default(
    written: Callable[..., str],
) -> None:
    low = {"energy": 3.0, "forces": 0.1, "virial": 0.1}
    one = fit_of(written(), weights={"default": low}, solver={"kind": "blr"})
    all_groups = {name: low for name in ("hot", "cold", "default")}
    other = fit_of(written(), weights=all_groups, solver={"kind": "blr"})
    np.testing.assert_array_equal(one.model.coefficients, other.model.coefficients)


def test_rows_carry_the_documented_weights(truth: Model, structures: list[Structure]) -> None:
    tables = lower(truth)
    structure = structures[0]
    block = structure_rows(
        structure,
        truth,
        ReferenceEvaluator(tables),
        ("energy", "forces", "virial"),
        Weights(7.0, 2.0, 3.0),
    )
    assert block.quantities == ("energy", "forces", "virial")
    expected = [7.0 / 2, *[2.0] * 12, *[3.0 / 2] * 6]  # √n = 2
    np.testing.assert_allclose(block.weights, expected)
    w = structure.virial
    voigt = [w[0, 0], w[1, 1], w[2, 2], w[1, 2], w[0, 2], w[0, 1]]
    binding = structure.energy - truth.e0[[0, 0, 1, 1]].sum()
    np.testing.assert_allclose(block.targets, [binding, *structure.forces.ravel(), *voigt])
    np.testing.assert_allclose(block.rows @ truth.coefficients[0, 0], block.targets, atol=1e-10)


def test_rows_of_weight_zero_are_left_out() -> None:
    rng = np.random.default_rng(8)
    rows, targets = rng.normal(size=(6, 3)), rng.normal(size=6)
    weights = np.array([1.0, 0.0, 2.0, 0.0, 1.0, 3.0])
    block = StructureRows(atom(14, None), ("forces",), rows, targets, weights, sure=6, counts=(6,))
    accumulator = Partition(3)
    done: list[int] = []
    assemble(iter([block]), Gathered(accumulator), done.append)
    problem = accumulator.finish()
    assert problem.rows == 4 and done == [1]
    kept = weights > 0
    expected = np.linalg.lstsq(rows[kept] * weights[kept, None], (targets * weights)[kept])[0]
    np.testing.assert_allclose(np.linalg.solve(problem.triangle, problem.targets), expected)


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize("threads", [-1, 1, 2, 5, 40])
@pytest.mark.parametrize("count", [0, 1, 3, 17])
def test_rows_come_in_order_whatever_the_threads(threads: int, count: int) -> None:
    structures = [atom(1 + k, None) for k in range(count)]
    got = list(in_threads(lambda s: s, structures, threads))  # type: ignore[arg-type, return-value]
    assert got == structures


def test_few_blocks_wait_and_an_error_stops_all_threads() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def make(structure: Structure) -> StructureRows:
        with lock:
            started.append(int(structure.numbers[0]))
        if structure.numbers[0] == 5:
            raise InputError("bad structure")
        return structure  # type: ignore[return-value]

    with pytest.raises(InputError, match="bad structure"):
        list(in_threads(make, [atom(1 + k, None) for k in range(100)], 2))
    assert len(started) <= 5 + 4


def test_threads_change_no_bit(written: Callable[..., str]) -> None:
    files = {
        modelfile.model_bytes(fit_of(written(), threads=n, solver={"kind": "blr"}).model)
        for n in (1, 2, 3)
    }
    assert len(files) == 1


# ------------------------------------------------------------------ the same again


def test_fitting_twice_gives_the_same_bytes(written: Callable[..., str]) -> None:
    config = {
        "data": {"train": written(), "test": written(name="t.xyz")},
        "basis": BASIS,
        "committee": {"size": 3},
    }
    one, other = (run_fit(config, threads=1) for _ in range(2))
    assert modelfile.model_bytes(one.model) == modelfile.model_bytes(other.model)
    assert one.report == other.report


def test_mappings_files_and_configurations_are_one_thing(
    written: Callable[..., str], tmp_path: Path
) -> None:
    config = FitConfig(
        load_config_data(written()), BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0)
    )
    path = tmp_path / "fit.toml"
    path.write_text(dump_config(config, tmp_path))
    mapping = {
        "data": {"train": written()},
        "basis": {"elements": ["O", "Si"], "order": 2, "degree": 4.0, "cutoff": 4.0},
    }
    fits = [run_fit(one, threads=1) for one in (config, path, str(path), mapping)]
    assert len({modelfile.model_bytes(fit.model) for fit in fits}) == 1


def load_config_data(train: str) -> Any:
    from acepot.fitting.config import Data

    return Data(train=train)


def test_the_resolved_configuration_repeats_the_fit(
    written: Callable[..., str], tmp_path: Path
) -> None:
    basis = {"order": 2, "degree": 4, "cutoff": 4.0}
    first = run_fit({"data": {"train": written()}, "basis": basis}, threads=1)
    path = tmp_path / "fit.toml"
    path.write_text(dump_config(first.config, tmp_path))
    second = run_fit(path, threads=1)
    np.testing.assert_array_equal(first.model.coefficients, second.model.coefficients)
    np.testing.assert_array_equal(first.model.e0, second.model.e0)
    assert load_config(path) == second.config
    third = run_fit(second.config, threads=1)
    assert modelfile.model_bytes(second.model) == modelfile.model_bytes(third.model)


# ------------------------------------------------------------------ committee


def test_a_committee_repeats_with_its_seed(written: Callable[..., str]) -> None:
    def members(seed: int, size: int = 4) -> np.ndarray:
        committee = {"size": size, "seed": seed}
        return fit_of(written(), committee=committee, solver={"kind": "blr"}).model.committee

    np.testing.assert_array_equal(members(3), members(3))
    assert not np.allclose(members(3), members(4))
    np.testing.assert_array_equal(members(3)[:2], members(3, size=2))
    assert fit_of(written()).model.committee is None


def test_the_spread_of_a_committee_is_that_of_the_posterior(
    written: Callable[..., str], structures: list[Structure]
) -> None:
    rng = np.random.default_rng(9)
    noisy = [
        s if s.forces is None else replace(s, forces=s.forces + 0.1 * rng.normal(size=(len(s), 3)))
        for s in structures
    ]
    fit = fit_of(
        written(noisy, "noisy.xyz"), committee={"size": 200, "seed": 5}, solver={"kind": "blr"},
        prior={"kind": "algebraic"},
    )  # fmt: skip
    factor = fit.solution.factor
    covariance = factor @ factor.T
    drawn = fit.solution.draw(3000, np.random.default_rng(5))
    np.testing.assert_array_equal(fit.model.committee, drawn[:200])
    deviation = drawn - fit.model.coefficients[0, 0]
    sampled = deviation.T @ deviation / len(deviation)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.abs((sampled - covariance) / scale).max() < 5 / np.sqrt(3000)
    # What users see: the energies that the members predict.
    potential = Potential(fit.model, threads=1)
    tables = potential.tables
    fresh = shaken(np.random.default_rng(10), strain=0.1)
    result = potential.compute(fresh, committee=True)
    block = structure_rows(
        replace(fresh, energy=0.0), fit.model, ReferenceEvaluator(tables),
        ("energy",), Weights(),
    )  # fmt: skip
    expected = float(np.linalg.norm(block.rows[0] @ factor))
    found = np.sqrt(np.mean((result.committee.energies - result.energy) ** 2))
    assert found == pytest.approx(expected, rel=4 / np.sqrt(2 * 200))


# ------------------------------------------------------------------ errors


def test_too_few_rows_are_an_error_that_names_the_remedies(
    written: Callable[..., str], structures: list[Structure]
) -> None:
    path = written(structures[:2], "few.xyz")
    with pytest.raises(InputError, match=r"underdetermined: 38 rows for \d+ functions.*blr"):
        fit_of(path)
    for solver in ({"kind": "blr"}, {"kind": "qr", "damping": 0.01}):
        assert np.isfinite(fit_of(path, solver=solver).model.coefficients).all()


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"dta": {"train": "x"}}, r"unknown key dta; did you mean data\?"),
        ({"data": {"trian": "x"}}, r"unknown key data.trian; did you mean data.train\?"),
        ({"data": {"train": "x"}, "basis": {"cutof": 4}}, r"did you mean basis.cutoff\?"),
        ({"data": {"train": "x"}, "weights": {"hot": {"force": 1}}}, r"weights.hot.forces\?"),
        ({"data": {"train": "x"}, "solver": {"kind": "blt"}}, r"did you mean 'blr'\?"),
        ({"data": {"train": "x"}, "committee": {"size": -1}}, "committee.size: expected 0 or more"),
        ({}, "missing key data.train"),
    ],
)
def test_slips_in_a_configuration_name_the_key(config: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        run_fit(config)


def test_weights_of_a_group_that_is_not_there_are_an_error(written: Callable[..., str]) -> None:
    with pytest.raises(InputError, match=r"weights: .*'Hot'; the data hold .*'cold'.*'hot'"):
        fit_of(written(), weights={"Hot": {"forces": 2.0}})


@pytest.mark.parametrize("name", ["cutoff", "inner", "r0"])
def test_a_pair_that_is_not_there_is_an_error(written: Callable[..., str], name: str) -> None:
    given = {"default": 4.0 if name == "cutoff" else 0.4, "Si-Q": 0.4}
    with pytest.raises(InputError, match=rf"basis.{name}: expected pairs of O, Si .* got Si-Q"):
        fit_of(written(), basis=BASIS | {name: given})
    own = BASIS["pair"] | {"cutoff": {"default": 4.0, "O-H": 3.0}}
    with pytest.raises(InputError, match=r"basis.pair.cutoff: .* got O-H"):
        fit_of(written(), basis=BASIS | {"pair": own})


def test_virials_that_are_not_there_cannot_be_fitted(
    written: Callable[..., str], structures: list[Structure]
) -> None:
    path = written([replace(s, virial=None) for s in structures], "no virials.xyz")
    with pytest.raises(InputError, match=r"data.fit: virial is to be fitted, but no training"):
        fit_of(path, data={"fit": ["energy", "forces", "virial"]})


EXTREMES = {
    "a cut-off inside the first interval": ({"cutoff": 0.05}, r"basis.cutoff of .*0.2 to 50"),
    "a window of nothing": (
        {"radial": {"family": "cheb_exp_cos", "smoothing": 1e-9}},
        r"radial.smoothing: expected 0 or 0.001 Å to the cut-off",
    ),
    "a window beyond the cut-off": (
        {"radial": {"family": "cheb_exp_cos", "smoothing": 9.0}},
        r"radial.smoothing: expected",
    ),
    "an exponent that overflows": (
        {"radial": {"transform": {"p": 1.0, "q": 1e180}}},
        r"radial.transform.q: expected more than 0, up to 50",
    ),
    "a typical distance that overflows": (
        {"r0": 1e-30, "radial": {"transform": {"p": 2.0, "q": 50.0}}},
        r"radial.transform: expected a coordinate that tells 0.0 Å from 4.0 Å",
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("part", ["basis", "pair"])
def test_extreme_radial_settings_name_themselves(
    written: Callable[..., str], name: str, part: str
) -> None:
    settings, match = EXTREMES[name]
    if part == "pair":
        if "r0" in settings:
            pytest.skip("r0 is common to both")
        basis = BASIS | {"pair": BASIS["pair"] | settings}
        match = match.replace("basis.cutoff", "basis.pair.cutoff")
    else:
        basis = BASIS | settings
    with pytest.raises(InputError, match=match):
        fit_of(written(), basis=basis)


def test_data_without_labels_are_an_error(written: Callable[..., str]) -> None:
    path = written([shaken(np.random.default_rng(0))], "bare.xyz")
    with pytest.raises(InputError, match=r"expected labels \(energy, forces\), found none"):
        fit_of(path)
    with pytest.raises(InputError, match="no such file"):
        fit_of("nowhere.xyz")


def test_functions_that_are_no_energies_are_refused(written: Callable[..., str]) -> None:
    with pytest.raises(InputError, match="total_l = 0 and parity = 1"):
        fit_of(written(), basis=BASIS | {"total_l": 1})
    for wrong, message in (
        ({"parity": -1}, r"basis\.total_l: .*got total_l = 0, parity = -1"),
        ({"irreps": ["0e", "1o"]}, r"basis\.irreps: .*got irreps = \['0e', '1o'\]"),
        ({"constant": True}, r"basis\.constant: .*expected false"),
    ):
        with pytest.raises(InputError, match=message):
            fit_of(written(), basis=BASIS | wrong)


# ------------------------------------------------------------------ restraint


def restrained_spec(**more: object) -> BasisSpec:
    return resolve(BasisSpec(**({"elements": ("O", "Si"), "order": 2, "degree": 4.0,
                                 "cutoff": 4.0} | more)))  # fmt: skip


@pytest.mark.parametrize("solver", [{"kind": "blr"}, {"kind": "qr", "damping": 1e-3}])
def test_the_restraint_makes_close_dimers_repulsive(
    written: Callable[..., str], solver: dict[str, Any]
) -> None:
    fit = run_fit({"data": {"train": written()}, "basis": BASIS, "solver": solver}, threads=1)
    assert fit.report["restraint"] == "on"
    potential = Potential(fit.model, threads=1)
    symbols = {"O": 8, "Si": 14}
    for pair, r0 in fit.config.basis.r0.items():  # type: ignore[union-attr]
        numbers = [symbols[s] for s in pair.split("-")]
        alone = fit.model.e0[[fit.model.numbers.index(z) for z in numbers]].sum()
        distances = np.linspace(max(0.05 * r0, 0.101), 0.2 * r0, 12)
        dimers = [Structure(numbers, [[0, 0, 0], [0, 0, r]]) for r in distances]
        results = potential.compute_all(dimers)
        energies = np.array([r.energy for r in results]) - alone
        assert (energies > 0).all() and (np.diff(energies) < 0).all(), pair
        assert all(r.forces[1, 2] > 0 for r in results), pair


def test_restraint_rows_hold_the_pair_energy_of_a_dimer_and_nothing_else() -> None:
    spec = restrained_spec()
    built = spec.expansion()
    # Far enough out for the tables, which begin at 0.1 Å; one at a time, all pairs are asked for.
    for distance in (0.15, 0.9):
        rows, targets = restraint_rows(spec, built, Restraint(weight=0.5, distance=distance))
        assert rows.shape == (3, built.size) and (rows[:, built.labels.order != 0] == 0).all()
        pairs = ((8, 8), (8, 14), (14, 14))
        for row, target, numbers in zip(rows, targets, pairs, strict=True):
            c = np.where(row != 0, np.random.default_rng(1).normal(size=built.size), 0.0)
            model = Model(spec, c, np.zeros(2))
            dimer = Structure(numbers, [[0, 0, 0], [distance, 0, 0]])
            energy = Potential(model, threads=1).compute(dimer).energy
            assert row @ c / 0.5 == pytest.approx(energy, rel=1e-7)
            symbols = {8: "O", 14: "Si"}
            r0 = spec.r0[f"{symbols[numbers[0]]}-{symbols[numbers[1]]}"]  # type: ignore[index]
            assert target == pytest.approx(0.5 * (distance / r0) ** -2)


@pytest.mark.parametrize(
    "pair",
    [
        Pair(degree=0),
        Pair(radial=Legendre(Agnesi(), PolynomialEnvelope(2, 2))),
        Pair(radial=Orthonormal()),
    ],
)
def test_pairs_that_do_not_grow_towards_zero_have_no_restraint(
    pair: Pair, written: Callable[..., str]
) -> None:
    spec = restrained_spec(pair=pair)
    assert not applies(spec)
    with pytest.raises(InputError, match="restraint: needs a pair basis"):
        restraint_rows(spec, spec.expansion(), Restraint())
    fit = run_fit(FitConfig(load_config_data(written()), spec), threads=1)
    assert fit.report["restraint"] == "off"


def test_a_restraint_of_weight_zero_is_off(written: Callable[..., str]) -> None:
    assert fit_of(written()).report["restraint"] == "off"


# ------------------------------------------------------------------ priors


def test_a_prior_smooths_and_no_prior_does_not(written: Callable[..., str]) -> None:
    """The high functions of a damped fit are smaller with a prior that grows."""
    solver = {"kind": "qr", "damping": 0.5}
    size = {}
    for kind in ("none", "algebraic"):
        fit = fit_of(written(), solver=solver, prior={"kind": kind}, basis=BASIS | {"degree": 7})
        labels = fit.config.basis.expansion().labels
        high = labels.n.max(axis=1) >= 5
        size[kind] = np.linalg.norm(fit.model.coefficients[0, 0, high])
    assert size["algebraic"] < 0.1 * size["none"]
