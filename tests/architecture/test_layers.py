"""The shape of the code: who may import whom, and what may stand where.

Every Python file is read with `ast`, imports inside functions and under TYPE_CHECKING included.
"""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import acepot
from acepot.cli import main
from acepot.md import engines

ROOT = Path(__file__).parents[2]
ADAPTERS = ("torch_ace", "ase_ace", "openmm_ace", "ipi_driver", "lammps_ace", "kim_ace")

#: From the ground up: a module imports only from rows below its own, or from its own package.
#: A name stands for the module and, if it is a package, for what is in it.
ROWS = (
    ("acepot.errors", "acepot._native"),
    ("acepot.budget",),
    (
        "acepot.schema",
        "acepot.arrays",
        "acepot.units",
        "acepot.masses",
        "acepot.voigt",
        "acepot.io.files",
        "acepot.ownership",
        "acepot.shelf",
    ),
    ("acepot.run", "acepot.lattice", "acepot.configuration"),
    ("acepot.structure", "acepot.basis"),
    ("acepot.orbitals",),
    ("acepot.neighbours", "acepot.model", "acepot.tables"),
    ("acepot.tabulation",),
    ("acepot.lowering",),
    ("acepot.evaluate", "acepot.io"),
    ("acepot.charges",),
    ("acepot.potential", "acepot.compilation"),
    ("acepot.fitting.observables", "acepot.laws", "acepot.holes"),
    ("acepot.uncertainty",),
    ("acepot.report",),
    ("acepot.fitting", "acepot.conversion"),
    ("acepot.md", "acepot.sampling", "acepot.survey", "acepot.search"),
    ("acepot.hal", "acepot.hamiltonian", "acepot.friction", "acepot.properties"),
    ("acepot.defects", "acepot.chain", "acepot.suites"),
    ("acepot",),
    ("torch_ace",),  # OpenMM's TorchForce is made of it
    ADAPTERS[1:],
    ("acepot.cli",),
    ("acepot.__main__",),
)
#: The only modules that import by a name in a table, and what may do it there. Tests below hold
#: each table to what the tree holds.
BY_NAME = {
    "acepot": {"import_module", "find_spec"},  # public names, when they are first asked for
    "acepot.cli.main": {"import_module"},  # the verb that was called
    "acepot.md.engines": {"EntryPoint", "entry_points"},  # the engine that was chosen
    "acepot.hal.reference.worker": {"import_module"},  # the calculator that was chosen
}
#: What some adapters see beyond the public library.
FOR_ADAPTERS = {
    "lammps_ace": ("acepot.compilation",),
    "kim_ace": ("acepot.compilation", "acepot.conversion"),
    "torch_ace": ("acepot.compilation", "acepot.conversion", "acepot.evaluate.torch.module"),
    "openmm_ace": (
        "acepot.evaluate.torch.module",
        "acepot.friction.thermostat",
        "acepot.uncertainty.biased",
    ),
    "ase_ace": ("acepot.friction.thermostat", "acepot.orbitals", "acepot.uncertainty.biased"),
    "ipi_driver": ("acepot.friction.thermostat", "acepot.uncertainty.biased"),
}
#: What `acepot` exports, the promise to users; anything else may change.
PUBLIC = (
    "AceError",
    "AceModule",
    "BasisSpec",
    "BondEvaluator",
    "BondModel",
    "BondSpec",
    "Fit",
    "ChargeModel",
    "FrictionModel",
    "HamiltonianModel",
    "Model",
    "Potential",
    "Result",
    "SiteModule",
    "Structure",
    "TensorModel",
    "TightBinding",
    "basis_size",
    "check",
    "convert",
    "descriptors",
    "fit",
    "fit_tensors",
    "from_atoms",
    "load",
    "lower",
    "read_structures",
    "resolve",
    "run_fit",
    "save",
    "site_evaluator",
    "write_structures",
)
#: Who may import packages from outside that must stay in one place.
ONLY_IN = {
    "matplotlib": ("acepot.run.figure", "acepot.report"),
    "ase": (
        "acepot.io.structures.datasets",
        "acepot.hal.asedb",
        "acepot.hal.reference.worker",
        "acepot.hamiltonian.bands",
        "ase_ace",
    ),
    "openmm": ("openmm_ace",),
    "openmmml": ("openmm_ace",),
    "openmmtorch": ("openmm_ace.torchforce",),
    "metatomic": ("torch_ace",),
    "metatensor": ("torch_ace",),
    "vesin_torch": ("torch_ace.structure",),
    "matscipy": (),
    "torch": (
        "acepot.evaluate.torch",
        "openmm_ace.torchforce",
        "openmm_ace.torchmodule",
        "torch_ace",
    ),
    "h5py": (
        "acepot.friction.hdf5",
        "acepot.hamiltonian.formats.hdf5",
        "acepot.sampling.hdf5",
    ),
    "pyscf": (
        "acepot.hamiltonian.formats.pyscf_matrices",
        "acepot.hamiltonian.pyscf_calculation",
    ),
    "sisl": ("acepot.hamiltonian.formats.sisl_matrices",),
    "distributed": ("acepot.sampling.dask", "acepot.hal.reference.dask"),
    "dask": (),
    "phonopy": ("acepot.properties.force_constants", "acepot.properties.phonons"),
    "seekpath": ("acepot.properties.force_constants",),
    "spglib": ("acepot.sampling.analysis.phases",),
    "freud": ("acepot.sampling.analysis.phases",),
    "anesthetic": ("acepot.sampling.analysis.nested_samples",),
    "sklearn": ("acepot.fitting.solvers.scikit_learn",),
    "pickle": (),
}
#: Conversion constants (eV, Å, Hartree, Bohr, GPa, e²/4πε0), which only units.py may hold.
CONSTANTS = (96.485, 27.2114, 0.529177, 1.889726, 0.036749, 160.2177, 14.39964, 8.617333e-5)
#: Constants that belong to another program's format and must keep that program's digits.
FOREIGN = {("acepot.basis.pace_radial", 14.399645351950543)}


def module_name(path: Path) -> str:
    """`acepot/io/files.py` -> `acepot.io.files`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the library and its adapters, parsed."""
    folders = [ROOT / name for name in ("acepot", *ADAPTERS)]
    paths = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return {module_name(path): ast.parse(path.read_text(), str(path)) for path in paths}


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what a file imports; of `from a import b` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide what is imported"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def graph() -> dict[str, set[str]]:
    """The modules of this repository that each of them imports."""
    known = {*sources(), "acepot._native"}  # the compiled module has no source here
    arrows: dict[str, set[str]] = {}
    for name, tree in sources().items():
        found = set()
        for target in imported(tree):
            while target and target not in known:
                target = target.rpartition(".")[0]
            found.add(target)
        arrows[name] = found - {"", name}
    return arrows


def place(module: str) -> tuple[int, str]:
    """Row of a module and the name it is listed under (the longest that fits)."""
    homes = [(r, home) for r, row in enumerate(ROWS) for home in row]
    fitting = [(r, h) for r, h in homes if module == h or module.startswith(f"{h}.")]
    row, home = max(fitting, key=lambda one: len(one[1]))
    assert home != "acepot" or module == "acepot", f"{module} has no row in ROWS: give it one"
    return row, home


# ------------------------------------------------------------------ arrows


def test_imports_point_down_or_stay_in_their_package() -> None:
    upward = []
    for module, targets in graph().items():
        row, home = place(module)
        for target in sorted(targets):
            below, other = place(target)
            if not (below < row or other == home):
                upward.append(f"{module} (row {row}) imports {target} (row {below})")
    assert not upward, "\n".join(upward)


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {m: {t for t in targets if m != t} for m, targets in graph().items()}
    try:
        tuple(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_see_only_the_public_library(adapter: str) -> None:
    for module, targets in graph().items():
        if module.split(".")[0] == adapter:
            allowed = {
                "acepot",
                "acepot.units",
                "acepot.errors",
                "acepot.voigt",
                *FOR_ADAPTERS.get(adapter, ()),
            }
            if module in (f"{adapter}.dynamics", f"{adapter}.friction"):
                allowed |= {"acepot.md.engine"}
            inner = {t for t in targets if t.split(".")[0] == "acepot"}
            assert inner <= allowed, f"{module} imports {sorted(inner - allowed)}"


def test_adapters_take_only_public_names() -> None:
    for module, tree in sources().items():
        if module.split(".")[0] not in ADAPTERS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "acepot":
                names = {alias.name for alias in node.names}
                assert names <= {*PUBLIC, "units", "errors"}, f"{module} takes {names}"
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "acepot":
                assert node.attr in {*PUBLIC, "__version__", "units", "errors"}, (
                    f"{module} line {node.lineno}: acepot.{node.attr} is not public"
                )


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_foreign_package_is_imported_in_one_place(package: str) -> None:
    for module, tree in sources().items():
        home = any(module == one or module.startswith(f"{one}.") for one in ONLY_IN[package])
        uses = [name for name in imported(tree) if name.split(".")[0] == package]
        assert home or not uses, f"{module} imports {uses}"
        assert not [name for name in uses if name.startswith("ase.neighborlist")], module


def test_nothing_is_imported_by_a_computed_name() -> None:
    hiding = {"__import__", "import_module", "find_spec", "EntryPoint", "entry_points"}
    hiding |= {"exec", "eval"}
    for module, tree in sources().items():
        uses = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(tree)}
        uses |= {name.rpartition(".")[2] for name in imported(tree)}
        hidden = uses & hiding - BY_NAME.get(module, set())
        assert not hidden, f"{module}: {hidden} hides an import from these tests"


def test_the_table_of_public_names_is_what_type_checkers_see() -> None:
    """So that its arrows are among those tested above."""
    (seen,) = (
        node
        for node in sources()["acepot"].body
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    )
    homes = {}
    for node in seen.body:
        assert isinstance(node, ast.ImportFrom)
        homes |= {alias.name: node.module for alias in node.names}
    assert acepot._HOMES == homes


def test_the_verbs_are_the_modules_of_the_command_line() -> None:
    verbs = {
        module.rpartition(".")[2].replace("_", "-")
        for module, tree in sources().items()
        if module.startswith("acepot.cli.")
        and {"add_to", "run"} <= {getattr(node, "name", "") for node in tree.body}
    }
    assert set(main.VERBS) == verbs


def test_every_engine_is_that_of_an_adapter() -> None:
    for point in engines.OWN:
        assert point.module in sources() and point.module.split(".")[0] in ADAPTERS[1:]
        made = [n.value for n in sources()[point.module].body if isinstance(n, ast.Assign)]
        kinds = [n for n in made if isinstance(n, ast.Call) and n.func.id == "EngineKind"]
        assert [kind.args[0].value for kind in kinds] == [point.name]


# ------------------------------------------------------------------ names


def _importable() -> list[str]:
    return [m for m in sources() if not m.endswith("__main__")]


@pytest.mark.parametrize("module", [m for m in _importable() if m.startswith("acepot")])
def test_every_name_in_all_exists(module: str) -> None:
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", [])
    assert [name for name in names if not hasattr(loaded, name)] == []
    assert len(set(names)) == len(names)


def test_the_public_names_are_those_promised() -> None:
    assert tuple(acepot._HOMES) == PUBLIC
    assert set(PUBLIC) - set(acepot.__all__) == {"AceModule", "SiteModule"}  # need torch
    assert len(PUBLIC) <= 32  # what the README and the examples need; nothing is imported before


# ------------------------------------------------------------------ what may stand where


def test_the_library_neither_prints_nor_asserts() -> None:
    for module, tree in sources().items():
        for node in ast.walk(tree):
            where = f"{module} line {getattr(node, 'lineno', 0)}"
            assert not isinstance(node, ast.Assert), f"{where}: assert; raise an error instead"
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", "")
                assert called not in ("print", "breakpoint"), f"{where}: {called}"


def test_only_the_command_line_writes_to_the_terminal() -> None:
    for module, tree in sources().items():
        if module.startswith(("acepot.cli", "acepot.run.progress", "ipi_driver.command")):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or node.attr not in ("stdout", "stderr"):
                continue
            if not module.endswith(".process"):  # pipes to other processes have these names
                pytest.fail(f"{module} line {node.lineno}: {node.attr}")


def test_conversion_constants_stand_in_one_file() -> None:
    for module, tree in sources().items():
        if module == "acepot.units":
            continue
        for node in ast.walk(tree):
            value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
            if isinstance(value, float) and (module, value) not in FOREIGN:
                near = [c for c in CONSTANTS if abs(value / c - 1) < 2e-3]
                assert not near, f"{module} line {node.lineno}: {value} belongs in units.py"


# ------------------------------------------------------------------ weight


def _modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(json.loads(done.stdout))


def test_importing_the_library_stays_light() -> None:
    loaded = _modules_after("import acepot")
    assert {name for name in loaded if name.split(".")[0] in ("acepot", "numpy")} == {"acepot"}


def test_engines_start_without_what_they_do_not_need() -> None:
    """They start a process for each rank, and a fit's solvers come with the first fit."""
    # Solvers and torch.
    later = (
        "Fit", "TightBinding", "fit", "fit_tensors", "run_fit", "AceModule", "SiteModule",
    )  # fmt: skip
    names = [name for name in PUBLIC if name not in later]
    loaded = _modules_after(f"from acepot import {', '.join(names)}")
    heavy = {"ase", "matplotlib", "openmm", "torch", "vesin", "pandas", "h5py", "tqdm"}
    assert not {name.split(".")[0] for name in loaded} & heavy
    assert not loaded & {"acepot.fitting.pipeline", "scipy.optimize", "scipy.linalg"}


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_a_question_to_the_command_line_imports_nothing_that_it_does_not_need(word: str) -> None:
    """And so takes no longer than Python itself."""
    loaded = _modules_after(
        "import contextlib, io\nfrom acepot.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    main([{word!r}])"
    )
    ours = {name for name in loaded if name.split(".")[0] in ("acepot", *ADAPTERS)}
    assert ours == {
        "acepot", "acepot.cli", "acepot.cli.main", "acepot.cli.terminal", "acepot.errors",
    }  # fmt: skip
    assert not loaded & {"numpy", "scipy", "yaml", "vesin"}


def test_the_library_works_without_the_optional_packages() -> None:
    optional = (
        "ase", "matplotlib", "openmm", "torch", "spglib", "freud", "anesthetic", "h5py",
        "distributed", "pyscf", "sisl", "phonopy", "seekpath",
    )  # fmt: skip
    blocked = f"import sys\nfor n in {optional}: sys.modules[n] = None\n"
    inside = (  # torch, h5py and distributed are imported when they are asked for
        "acepot.evaluate.torch", "acepot.sampling.hdf5", "acepot.sampling.journey",
        "acepot.sampling.run", "acepot.sampling.dask", "acepot.hal.asedb",
        "acepot.hal.reference.dask", "acepot.friction.hdf5", "acepot.hamiltonian.formats.hdf5",
        "acepot.hamiltonian.formats.deeptb", "acepot.hamiltonian.formats.deeph",
        "acepot.hamiltonian.formats.acehamiltonians", "acepot.hamiltonian.formats.sisl_matrices",
        "acepot.hamiltonian.formats.pyscf_matrices", "acepot.hamiltonian.pyscf_calculation",
        "acepot.hamiltonian.pyscf_data",
    )  # fmt: skip
    names = [m for m in _importable() if m.startswith("acepot") and not m.startswith(inside)]
    loaded = _modules_after(blocked + f"import {', '.join(names)}")
    assert set(names) <= loaded
