"""The native kernel as operators of torch, and metatomic's files of both backends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Model, Potential, Structure
from acepot.errors import InputError, MissingDependency

torch = pytest.importorskip("torch")

import torch_ace  # noqa: E402
from torch_ace import compilation  # noqa: E402

pytestmark = pytest.mark.xdist_group("torch")
ROOT = Path(__file__).parents[2]
SILICON = ROOT / "models" / "Si-mlearn" / "model.acepot"
CASES = ("two-elements", "four-elements", "order-5", "pair-longer", "inner-cutoff")


@pytest.fixture(scope="module", autouse=True)
def operator_cache() -> Iterator[None]:
    """Operators for every run of the tests, named after their sources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "torch-tests"))
        yield


def arrays(model: Model, structure: Structure) -> tuple[torch.Tensor, ...]:
    """What the module for structures takes."""
    species = torch.tensor([model.numbers.index(z) for z in structure.numbers.tolist()])
    return (
        species,
        torch.tensor(structure.positions),
        torch.tensor(structure.cell),
        torch.tensor(structure.pbc),
    )


# ------------------------------------------------------------------ operators


@pytest.mark.parametrize("name", CASES)
def test_operators_give_the_numbers_of_the_oracle(name: str, case_named: Callable) -> None:
    case = case_named(name)
    whole = torch.jit.script(torch_ace.NativeStructureModule(case.model))
    by_edges = torch.jit.script(torch_ace.NativeModule(case.model))
    rng = np.random.default_rng(3)
    for label, structure in case.structures.items():
        expected = case.compute(structure)
        scale = 1 + np.abs(expected.forces).max()
        inputs = arrays(case.model, structure)
        energies, forces, virial = whole(*inputs)
        assert np.abs(energies.numpy() - expected.energies).max() < 1e-10 * scale, label
        assert np.abs(forces.numpy() - expected.forces).max() < 1e-10 * scale, label
        assert np.abs(virial.numpy() - expected.virial).max() < 1e-10 * scale, label
        edges = case.edges(structure)
        order = rng.permutation(len(edges.centre))  # edges come in any order
        centre, neighbour = (
            torch.tensor(a[order], dtype=torch.int64) for a in (edges.centre, edges.neighbour)
        )
        energies, slope = by_edges(inputs[0], centre, neighbour, torch.tensor(edges.vector[order]))
        pulls = torch.zeros(len(structure), 3, dtype=torch.float64)
        pulls = pulls.index_add(0, centre, slope).index_add(0, neighbour, -slope)
        assert np.abs(energies.numpy() - expected.energies).max() < 1e-10 * scale, label
        assert np.abs(pulls.numpy() - expected.forces).max() < 1e-10 * scale, label


def test_models_in_one_process_stay_apart(case_named: Callable) -> None:
    """More models than stay open, in turn."""
    structure = case_named("two-elements").structures["triclinic"]
    models = []
    for k in range(20):
        model = case_named("two-elements").model
        models.append(Model(model.basis, model.coefficients[0, 0] * (1 + k), model.e0))
    modules = [torch_ace.NativeStructureModule(model) for model in models]
    for _ in range(2):
        for model, module in zip(models, modules, strict=True):
            expected = Potential(model, threads=1).compute(structure).energies
            found = module(*arrays(model, structure))[0].numpy()
            assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


def test_mistakes_are_errors_with_our_message() -> None:
    model = acepot.load(SILICON)
    module = torch_ace.NativeStructureModule(model)
    edges = torch_ace.NativeModule(model)
    species = torch.zeros(2, dtype=torch.int64)
    places = torch.tensor([[0.0, 0.0, 0.0], [2.4, 0.1, 0.2]], dtype=torch.float64)
    cell, open_ = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)
    with pytest.raises(RuntimeError, match="acepot: positions: atom 1 is not at a finite"):
        module(species, places * torch.tensor([[1.0], [float("nan")]]), cell, open_)
    with pytest.raises(RuntimeError, match="species: atom 0 has an unknown species"):
        module(species + 1, places, cell, open_)
    with pytest.raises(RuntimeError, match="species: expected indices .* got -1"):
        module(species - 1, places, cell, open_)
    with pytest.raises(RuntimeError, match=r"positions: expected .* \[2, 3\] and type float64"):
        module(species, places.float(), cell, open_)
    with pytest.raises(RuntimeError, match="edge 0: expected atoms 0 to 1, got 0 and 2"):
        edges(species, species[:1], species[:1] + 2, places[1:])
    close = r"0 and 2 are 0.0\d+ A apart.*shortest edge, 0.0\d+ A, joins atoms 0 and 1\)"
    with pytest.raises(RuntimeError, match=close):
        edges(species, species[:1], species[:1] + 1, 0.01 * places[1:])
    with pytest.raises(RuntimeError, match="edge 0 between atoms 0 and 1: expected finite"):
        edges(species, species[:1], species[:1] + 1, float("nan") * places[1:])
    with pytest.raises(RuntimeError, match="expected bytes with SHA-256 00, got [0-9a-f]{64}"):
        torch.ops.acepot.evaluate(module.tables, "00", species, places, cell, open_)
    damaged, key = module.tables.clone(), "f" * 64
    damaged[1000] += 1
    with pytest.raises(RuntimeError, match="tables: expected bytes with SHA-256"):
        torch.ops.acepot.evaluate(damaged, key, species, places, cell, open_)


def test_threads_may_share_a_model(case_named: Callable) -> None:
    from concurrent.futures import ThreadPoolExecutor

    case = case_named("four-elements")
    module = torch_ace.NativeStructureModule(case.model)
    inputs = arrays(case.model, case.structures["triclinic"])
    expected = module(*inputs)[1]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: module(*inputs)[1], range(200)):
            assert torch.equal(found, expected)


def test_the_operators_ask_for_no_version_of_torch() -> None:
    said = subprocess.run(
        ["readelf", "-d", str(torch_ace.build())], capture_output=True, text=True, check=True
    ).stdout
    needed = [line for line in said.splitlines() if "NEEDED" in line]
    assert [line for line in needed if "torch" in line or "c10" in line] == [
        line for line in needed if "[libtorch_cpu.so]" in line
    ]
    assert "RUNPATH" not in said and "RPATH" not in said


def test_a_failed_build_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACEPOT_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "/bin/false")
    with pytest.raises(MissingDependency, match="torch_ace does not compile"):
        compilation.build()
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["lock"]


# ------------------------------------------------------------------ metatomic

METATOMIC = """
import json, sys
import numpy as np
from ase import Atoms
from metatomic_ase import MetatomicCalculator
out = []
for job in json.load(open(sys.argv[1])):
    calculator = MetatomicCalculator(
        job["file"], extensions_directory=job["extensions"], check_consistency=True
    )
    for one in job["structures"]:
        atoms = Atoms(one["numbers"], one["positions"], cell=one["cell"], pbc=one["pbc"])
        atoms.calc = calculator
        stress = atoms.get_stress(voigt=False).tolist() if all(one["pbc"]) else None
        atomic = calculator.compute_energy(atoms, per_atom=True)["energies"]
        out.append([atoms.get_potential_energy(), atoms.get_forces().tolist(), stress,
                    np.ravel(atomic).tolist()])
json.dump(out, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, case_named: Callable
) -> dict[str, tuple[Path, Path | None]]:
    """Files of metatomic by case and backend, and their folders of extensions."""
    pytest.importorskip("metatomic.torch")
    from torch_ace.metatomic import export_metatomic

    files = {}
    for name in ("two-elements", "four-elements"):
        for backend in ("native", "torch"):
            folder = tmp_path_factory.mktemp(f"{name}-{backend}")
            model = case_named(name).model
            files[f"{name} {backend}"] = (
                folder / "model.pt",
                export_metatomic(model, folder / "model.pt", backend),
            )
            names = sorted(p.name for p in folder.iterdir())
            assert names == ["extensions"] * (backend == "native") + ["model.pt"]
    return files


KINDS = ("triclinic", "slab", "molecule", "tiny cell", "one periodic atom", "outside the cell")


def test_metatomic_in_ase_gives_the_numbers_of_the_oracle(
    exported: dict[str, tuple[Path, Path | None]], case_named: Callable, tmp_path: Path
) -> None:
    """In a process that does not know acepot: energies to 1e-10, forces 1e-9 eV/Å, virial 1e-9."""
    pytest.importorskip("metatomic_ase")
    jobs, expected = [], []
    for label, (file, extensions) in exported.items():
        case = case_named(label.split()[0])
        chosen = [case.structures[kind] for kind in KINDS]
        expected += [(label, s, case.compute(s)) for s in chosen]
        told = [
            {"numbers": s.numbers.tolist(), "positions": s.positions.tolist()}
            | {"cell": s.cell.tolist(), "pbc": s.pbc.tolist()}
            for s in chosen
        ]
        folder = extensions and str(extensions)
        jobs.append({"file": str(file), "extensions": folder, "structures": told})
    (tmp_path / "jobs").write_text(json.dumps(jobs))
    (tmp_path / "run.py").write_text(METATOMIC)
    subprocess.run([sys.executable, "-P", "run.py", "jobs", "out"], cwd=tmp_path, check=True)
    found = json.loads((tmp_path / "out").read_text())
    assert any(stress is not None for _, _, stress, _ in found)
    for (label, structure, right), one in zip(expected, found, strict=True):
        about = f"{label}, {structure.name}"
        energy, forces, stress, energies = one
        assert abs(energy - right.energy) <= 1e-10 * max(1.0, abs(right.energy)), about
        assert np.abs(forces - right.forces).max() < 1e-9 * (1 + np.abs(right.forces).max()), about
        assert np.abs(energies - right.energies).max() < 1e-10 * (
            1 + np.abs(right.energies).max()
        ), about
        if stress is not None:
            virial = -np.array(stress) * abs(np.linalg.det(structure.cell))
            assert np.abs(virial - right.virial).max() < 1e-9 * np.abs(right.virial).max(), about


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_selected_atoms_have_their_energy_and_its_gradient(
    backend: str, case_named: Callable
) -> None:
    """Two systems at once; the gradient is that of the chosen E_i alone, by finite differences."""
    pytest.importorskip("metatomic.torch")
    from metatensor.torch import Labels
    from metatomic.torch import ModelOutput, System
    from vesin.metatomic import neighbor_lists_for_model

    from torch_ace.metatomic import atomistic_model

    case = case_named("two-elements")
    structure = case.structures["triclinic"]
    model = atomistic_model(case.model, backend)
    chosen = [(0, 1), (0, 4), (1, 2)]

    def systems(places: torch.Tensor) -> list:
        types = torch.tensor(structure.numbers, dtype=torch.int32)
        cell, pbc = torch.tensor(structure.cell), torch.tensor(structure.pbc)
        made = [System(types, places, cell, pbc), System(types, 1.0 * places, cell, pbc)]
        for calculator in neighbor_lists_for_model("angstrom", model, skin=0.0):
            for system in made:
                found = calculator.compute(system)
                system.add_neighbor_list(calculator.options, found)
        return made

    def energies(places: torch.Tensor, kind: str) -> torch.Tensor:
        wanted = {"energy": ModelOutput(unit="eV", sample_kind=kind)}
        labels = Labels(["system", "atom"], torch.tensor(chosen, dtype=torch.int32))
        return model.module(systems(places), wanted, labels)["energy"].block().values[:, 0]

    places = torch.tensor(structure.positions, requires_grad=True)
    right = case.compute(structure).energies
    atomic = energies(places, "atom").detach().numpy()
    assert np.abs(atomic - right[[1, 4, 2]]).max() < 1e-10 * np.abs(right).max()
    total = energies(places, "system")
    assert np.abs(total.detach().numpy() - [right[1] + right[4], right[2]]).max() < 1e-9
    (slope,) = torch.autograd.grad(total.sum(), places)
    step = np.random.default_rng(2).normal(size=structure.positions.shape)
    change = []
    for h in (1e-4, -1e-4):
        moved = Structure(
            structure.numbers, structure.positions + h * step, structure.cell, structure.pbc
        )
        change.append(case.compute(moved).energies[[1, 4, 2]].sum())
    difference = (change[0] - change[1]) / 2e-4
    assert abs(float((slope.numpy() * step).sum()) - difference) < 1e-6 * (1 + abs(difference))


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_metatomic_has_what_the_committee_says(backend: str, case_named: Callable) -> None:
    """Of systems, of atoms and of chosen atoms, through metatomic's own checks of outputs."""
    pytest.importorskip("metatomic.torch")
    from metatensor.torch import Labels
    from metatomic.torch import ModelEvaluationOptions, ModelOutput, System
    from vesin.metatomic import neighbor_lists_for_model

    from torch_ace.metatomic import atomistic_model

    case = case_named("two-elements")
    structure = case.structures["triclinic"]
    result = case.compute(structure, committee=True)
    members = np.array(
        [
            Potential(Model(case.model.basis, c[None], case.model.e0)).compute(structure).energies
            for c in case.model.coefficients[1:]
        ]
    )
    assert result.committee is not None
    assert members.sum(axis=1) == pytest.approx(result.committee.energies, abs=1e-9)
    model = atomistic_model(case.model, backend)
    system = System(
        torch.tensor(structure.numbers, dtype=torch.int32), torch.tensor(structure.positions),
        torch.tensor(structure.cell), torch.tensor(structure.pbc),
    )  # fmt: skip
    for calculator in neighbor_lists_for_model("angstrom", model, skin=0.0):
        system.add_neighbor_list(calculator.options, calculator.compute(system))

    def told(kind: str, chosen: list[int] | None) -> dict[str, np.ndarray]:
        names = ("energy", "energy_uncertainty", "energy_ensemble")
        outputs = {name: ModelOutput(unit="eV", sample_kind=kind) for name in names}
        selected = None
        if chosen is not None:
            pairs = torch.tensor([[0, i] for i in chosen], dtype=torch.int32)
            selected = Labels(["system", "atom"], pairs)
        options = ModelEvaluationOptions("angstrom", outputs, selected)
        found = model([system], options, check_consistency=True)
        return {name: found[name].block().values.detach().numpy() for name in names}

    for chosen in (None, [3, 1]):
        some = slice(None) if chosen is None else chosen
        e, m = result.energies[some], members[:, some]
        scale = 1e-10 * (1 + np.abs(m).max())
        for kind, energy, ensemble in (
            ("atom", e[:, None], m.T),
            ("system", e.sum().reshape(1, 1), m.sum(axis=1)[None]),
        ):
            found = told(kind, chosen)
            deviation = np.sqrt(np.mean((ensemble - energy) ** 2, axis=1))
            np.testing.assert_allclose(found["energy"], energy, atol=scale)
            np.testing.assert_allclose(found["energy_ensemble"], ensemble, atol=scale)
            np.testing.assert_allclose(found["energy_uncertainty"][:, 0], deviation, atol=scale)


IPI = """
<simulation verbosity='quiet' safe_stride='1000'>
  <output prefix='m'> <properties filename='out'> [ potential{{electronvolt}}, pressure_cv ]
    </properties> </output>
  <total_steps> 2 </total_steps>
  <ffdirect name='m'> <pes> metatomic </pes>
    <parameters> {{template: {template}, model: {model}, extensions: {extensions}}} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='1'> <file mode='ase' units='ase'> {template} </file> </initialize>
    <forces> <force forcefield='m'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'> <timestep units='femtosecond'> 1 </timestep>
      </dynamics> </motion>
  </system>
</simulation>
"""
IPI_RUN = """
import json, sys
from ipi.utils.softexit import softexit
from ipi.utils.scripting import InteractiveSimulation
simulation = InteractiveSimulation(open("in.xml").read())
simulation.run(0)
forces = simulation.syslist[0].forces
out = [float(forces.pot), forces.f[0].tolist(), forces.vir.tolist()]
out += [simulation.syslist[0].beads.q[0].tolist(), simulation.syslist[0].cell.h.tolist()]
simulation.run(2)
json.dump(out, open("out", "w"))
softexit.trigger(status="success")
"""


def test_metatomic_in_ipi_gives_the_numbers_of_the_core(tmp_path: Path) -> None:
    pytest.importorskip("ipi")
    pytest.importorskip("ase")
    pytest.importorskip("metatomic.torch")
    from acepot.units import IPI as UNITS
    from torch_ace.metatomic import export_metatomic

    model = acepot.load(SILICON)
    extensions = export_metatomic(model, tmp_path / "Si.pt")
    cell = np.array([[6.1, 0.0, 0.0], [1.3, 5.7, 0.0], [-0.9, 1.1, 6.4]])
    fractions = np.random.default_rng(5).uniform(-0.06, 0.06, (5, 3))
    fractions += [[0, 0, 0], [0.5, 0.1, 1.3], [0.1, -0.5, 0.6], [1.5, 0.5, 0.9], [0.9, 0.4, 0.5]]
    structure = Structure([14] * 5, fractions @ cell, cell, True)
    template = tmp_path / "start.extxyz"
    lattice = " ".join(f"{x:.17g}" for x in cell.ravel())
    lines = [f"Si {x:.17g} {y:.17g} {z:.17g}" for x, y, z in structure.positions]
    about = f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"'
    template.write_text("\n".join(["5", about, *lines]) + "\n")
    (tmp_path / "in.xml").write_text(
        IPI.format(template=template, model=tmp_path / "Si.pt", extensions=extensions)
    )
    (tmp_path / "run.py").write_text(IPI_RUN)
    subprocess.run([sys.executable, "-P", "run.py"], cwd=tmp_path, check=True, timeout=300)
    energy, forces, virial, places, cell = json.loads((tmp_path / "out").read_text())
    read = Structure(
        structure.numbers,
        np.reshape(places, (5, 3)) * UNITS.length,
        np.transpose(cell) * UNITS.length,
        True,
    )
    assert np.abs(read.positions - structure.positions).max() < 1e-6
    expected = Potential(model, threads=1).compute(read)
    assert energy * UNITS.energy == pytest.approx(expected.energy, rel=1e-10)
    # Forces to the digits to which i-PI's own constants agree (its ev/ang is 1.1e-7 off).
    found = np.reshape(forces, (5, 3)) * UNITS.force
    assert np.abs(found - expected.forces).max() < 2e-7 * np.abs(expected.forces).max()
    found = np.triu(np.reshape(virial, (3, 3)) * UNITS.energy)  # i-PI keeps what its cells follow
    assert np.abs(found - np.triu(expected.virial)).max() < 2e-7 * np.abs(expected.virial).max()


def test_unknown_backends_and_files_that_are_no_models_are_errors(tmp_path: Path) -> None:
    pytest.importorskip("metatomic.torch")
    from torch_ace.metatomic import export_metatomic

    with pytest.raises(InputError, match="backend: expected native or torch, got 'jax'"):
        export_metatomic(SILICON, tmp_path / "x.pt", "jax")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
