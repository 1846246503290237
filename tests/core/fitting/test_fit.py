"""Fits in memory: the same as from files, on with more structures, and work done once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import acepot.basis.spec
import acepot.lowering
import acepot.neighbours
from acepot import Model, Potential, Structure, load, run_fit
from acepot.basis.choices import Pair, resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import most_l
from acepot.fitting import assembly, dataset
from acepot.fitting.config import Committee, Weights
from acepot.fitting.fit import fit
from acepot.fitting.fitted import Fit
from acepot.fitting.folder import fit_to_folder
from acepot.fitting.pipeline import load_config
from acepot.fitting.priors import Gaussian
from acepot.fitting.recipe import Recipe
from acepot.fitting.solvers import QR
from acepot.holes.scan import Scan
from acepot.io import modelfile
from acepot.io.structures import extxyz

CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])
BASIS = {"order": 2, "degree": 4, "cutoff": 4.0, "pair": {"degree": 3}}


def sample(count: int, seed: int) -> list[Structure]:
    """Cells of O and Si in two groups, labelled by a model and a little noise."""
    rng = np.random.default_rng(seed)
    spec = resolve(BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0, pair=Pair(degree=3)))
    c = np.random.default_rng(1).normal(size=basis_size(spec)["total"]) / 20
    potential = Potential(Model(spec, c, np.array([-5.0, -3.0])), threads=1)
    found = []
    for k in range(count):
        cell = CELL @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3)))
        positions = SITES @ cell + rng.normal(scale=0.12, size=(4, 3))
        numbers = rng.permutation([8, 8, 14, 14])
        s = Structure(numbers, positions, cell, True, config_type=("hot", "cold")[k % 2])
        r = potential.compute(s)
        noise = 0.01 * rng.normal(size=(4, 3))
        virial = (r.virial + r.virial.T) / 2  # as readers make it
        found.append(s.labelled(energy=r.energy, forces=r.forces + noise, virial=virial))
    return found


def test_l_beyond_what_is_compiled_is_refused_before_any_work(monkeypatch):
    """What a fit cannot deliver it does not begin; up to the limit it works to the end."""
    structures = sample(6, 3)
    basis = BASIS | {"degree": 18, "wl": 0.3, "max_n": 1}
    done = fit(structures, basis | {"max_l": most_l()}, threads=1)
    assert max(done.potential.model.basis.max_l) == most_l() == 20
    results = done.potential.compute_all(structures)
    assert all(np.isfinite(r.forces).all() for r in results)
    monkeypatch.setattr(acepot.lowering, "lower", None)
    monkeypatch.setattr(assembly, "structure_rows", None)
    match = rf"l up to 25 are selected, expected at most {most_l()}, .* set max_l = {most_l()}"
    with pytest.raises(InputError, match=match):
        fit(structures, basis | {"max_l": 25}, threads=1)


def predictions(one: Fit, structures: list[Structure]) -> np.ndarray:
    results = one.potential.compute_all(structures)
    parts = [np.concatenate([[r.energy], r.forces.ravel(), r.virial.ravel()]) for r in results]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    atoms = [Structure([z], [[0, 0, 0]], energy=e) for z, e in ((8, -5.0), (14, -3.0))]
    return [*sample(14, 2), *atoms]


def test_a_fit_in_memory_is_that_of_its_files(structures: list[Structure], tmp_path: Any) -> None:
    extxyz.write_structures(tmp_path / "train.xyz", structures)
    more = {
        "weights": {"hot": {"forces": 3.0}},
        "committee": {"size": 2},
        "prior": {"kind": "gaussian", "wl": 2.0},
    }
    names = ["energy", "forces", "virial"]
    file = run_fit(
        {"data": {"train": str(tmp_path / "train.xyz"), "fit": names}, "basis": BASIS, **more},
        threads=1,
    )
    memory = fit(structures, BASIS, observables=names, threads=1, **more)  # type: ignore[arg-type]
    made = fit(
        structures,
        BasisSpec(order=2, degree=4.0, cutoff=4.0, pair=Pair(degree=3)),
        observables=names,
        weights={"hot": Weights(forces=3.0)},
        committee=Committee(2),
        prior=Gaussian(wl=2.0),
        threads=2,
    )
    for one in (memory, made):
        np.testing.assert_array_equal(one.model.coefficients, file.model.coefficients)
        np.testing.assert_array_equal(one.model.committee, file.model.committee)
        assert one.report == file.report and one.config is None
        assert one.recipe == file.recipe and one.model.basis == file.model.basis
    written = memory.model.provenance["fit"]
    assert written["observables"] == names and "data" not in written
    assert load(modelfile.model_bytes(memory.model)).basis == memory.model.basis


def test_atoms_of_ase_are_structures(structures: list[Structure]) -> None:
    ase = pytest.importorskip("ase")
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = []
    for s in structures:
        one = ase.Atoms(s.numbers, s.positions, cell=s.cell, pbc=s.pbc)
        forces = np.zeros((1, 3)) if s.forces is None else s.forces
        one.calc = SinglePointCalculator(one, energy=s.energy, forces=forces)
        one.info["config_type"] = s.config_type
        atoms.append(one)
    mixed: list[Any] = [*atoms[:5], *structures[5:]]
    assert fit(atoms, BASIS, threads=1).report["train"]["all"]["E"]["count"] == 16
    assert fit(mixed, BASIS, threads=1).report["train"]["all"]["V"]["count"] == 6 * 9


def test_names_and_mappings_stand_for_settings(structures: list[Structure]) -> None:
    one = fit(structures, BASIS, solver={"kind": "qr", "damping": 0.1}, prior="none", threads=1)
    assert one.recipe.solver == QR(damping=0.1)
    with pytest.raises(InputError, match=r"solver.kind: expected one of .*got 'lsq'"):
        fit(structures, BASIS, solver="lsq")
    with pytest.raises(InputError, match=r"observables\[0\]: expected one of 'energy', .*'force'"):
        fit(structures, BASIS, observables=["force"])
    with pytest.raises(InputError, match="structures: expected at least one, got none"):
        fit([], BASIS)
    with pytest.raises(InputError, match="observables: virial is to be fitted, but no training"):
        fit([s.labelled(virial=None) for s in structures], BASIS, observables=["virial"])
    with pytest.raises(InputError, match="expected an ASE Atoms object"):
        fit([42], BASIS)


# ------------------------------------------------------------------ on with more


@pytest.mark.parametrize("solver", ["blr", "qr"])
@pytest.mark.parametrize("split", [1, 5, 13])
def test_adding_structures_gives_the_joint_fit(solver: str, split: int) -> None:
    whole, fresh = sample(14, 3), sample(5, 4)
    settings: dict[str, Any] = {"e0": {"O": -5.0, "Si": -3.0}, "observables": ("energy", "forces")}
    settings |= {"solver": {"kind": solver} | ({"damping": 0.01} if solver == "qr" else {})}
    basis = {**BASIS, "elements": ["O", "Si"]}
    joint = fit(whole, basis, threads=1, **settings)
    first = fit(whole[:split], basis, threads=1, **settings)
    before = first.model.coefficients.copy()
    grown = first.add(whole[split])
    if split < 13:
        grown = grown.add(whole[split + 1 :])
    expected, found = predictions(joint, fresh), predictions(grown, fresh)
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()
    assert grown.solution.report["rows"] == joint.solution.report["rows"]
    assert [s.energy for s in grown.train] == [s.energy for s in whole]
    for key in ("structures", "atoms", "shortest distances", "e0 origin"):
        assert grown.model.provenance[key] == joint.model.provenance[key], key
    assert grown.report["train"]["all"]["F"]["count"] == 14 * 12
    # The fit that was added to is as it was, and may be added to again.
    np.testing.assert_array_equal(first.model.coefficients, before)
    assert len(first.train) == split and len(first.add(fresh).train) == split + 5


def test_adding_makes_no_row_again(
    structures: list[Structure], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit(structures, BASIS, threads=1)
    made: list[Structure] = []
    honest = assembly.structure_rows

    def counted(structure: Structure, *rest: Any) -> Any:
        made.append(structure)
        return honest(structure, *rest)

    monkeypatch.setattr(assembly, "structure_rows", counted)
    more = sample(2, 5)
    first.add(more)
    assert made == more


def test_what_the_basis_does_not_have_cannot_be_added(structures: list[Structure]) -> None:
    first = fit(structures, BASIS, threads=1)
    strange = Structure([14, 6], [[0, 0, 0], [1.8, 0, 0]], energy=-9.0)
    with pytest.raises(InputError, match=r"expected the elements O, Si of this fit, got C"):
        first.add([strange])
    with pytest.raises(InputError, match="structures: expected at least one"):
        first.add([])


# ------------------------------------------------------------------ work done once


def test_a_fit_lowers_once_and_makes_no_neighbour_lists_in_python(
    structures: list[Structure], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    counts: Counter[str] = Counter()

    def counted(module: Any, name: str, key: str) -> None:
        honest = getattr(module, name)

        def call(*given: Any, **options: Any) -> Any:
            counts[key] += 1
            return honest(*given, **options)

        monkeypatch.setattr(module, name, call)

    monkeypatch.setattr(acepot.fitting.fit, "trusted", lambda choice, *_, **__: choice)
    nothing = Scan((), {}, 0)
    monkeypatch.setattr(acepot.fitting.folder, "scan", lambda *_, **__: nothing)
    counted(acepot.lowering, "_lower_basis", "lowered")
    counted(acepot.basis.spec, "cached_expansion", "expanded")
    counted(acepot.neighbours, "build", "neighbour lists")
    counted(dataset, "nearest", "shortest distances")
    counted(acepot.potential.NativeEvaluator, "evaluate", "evaluations")
    extxyz.write_structures(tmp_path / "train.xyz", structures)
    (tmp_path / "fit.toml").write_text(
        'data.train = "train.xyz"\n[basis]\norder = 2\ndegree = 4\ncutoff = 4.0\npair.degree = 3\n'
    )
    fit_to_folder(load_config(tmp_path / "fit.toml"), tmp_path / "out", say=lambda _line: None)
    assert counts["lowered"] == 1 and counts["expanded"] == 1
    assert counts["neighbour lists"] == 0  # rows and evaluation make theirs as they go
    assert counts["shortest distances"] == len(structures)
    # training data, 12 probes, dimers of three pairs with and without many-body functions
    assert counts["evaluations"] == 1 + 12 + 6


def test_recipes_refuse_what_files_refuse() -> None:
    with pytest.raises(InputError, match="observables: expected one or more of energy, forces"):
        Recipe(observables=())
    with pytest.raises(InputError, match="each once, got"):
        Recipe(observables=("energy", "energy"))


def test_equal_columns_are_left_out_without_loss() -> None:
    """With bonds counted once no two columns are the same, and the fit and its file are as good."""
    structures = sample(14, seed=3)
    both = fit(structures, BASIS, solver={"kind": "qr", "damping": 0}, threads=1)
    once = fit(
        structures, BASIS | {"bonds_once": True}, solver={"kind": "qr", "damping": 0}, threads=1
    )
    assert once.report["basis"]["order 1"] == both.report["basis"]["order 1"] - 4
    assert once.report["solver"]["rank"] == both.report["solver"]["rank"]
    assert once.report["solver"]["residual"] == pytest.approx(both.report["solver"]["residual"])
    again = load(modelfile.model_bytes(once.model))
    assert again.basis == once.model.basis and again.basis.bonds_once


def test_virials_stay_fitted_or_not_when_structures_are_added() -> None:
    first, more = sample(12, seed=4), sample(4, seed=5)
    every = ("energy", "forces", "virial")
    whole = fit([*first, *more], BASIS, threads=1)
    grown = fit(first, BASIS, threads=1).add(more)
    for one, stated in (
        (whole, fit([*first, *more], BASIS, observables=every, threads=1)),
        (grown, fit(first, BASIS, observables=every, threads=1).add(more)),
    ):
        assert one.report["fitted"] == ["energy", "forces", "virial"]
        assert one.report["solver"]["rows"] == stated.report["solver"]["rows"]
        np.testing.assert_allclose(
            predictions(one, more), predictions(stated, more), rtol=1e-6, atol=1e-6
        )
    wrong = [s.labelled(energy=s.energy, forces=s.forces, virial=-s.virial) for s in first]
    without = fit(wrong, BASIS, threads=1)
    assert without.report["fitted"] == ["energy", "forces"]
    rows = without.report["solver"]["rows"]
    assert without.add(more).report["solver"]["rows"] == rows + 4 * 13
