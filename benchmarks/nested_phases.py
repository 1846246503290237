"""Melting of a small silicon model under pressure: nested sampling against coexistence.

    OMP_NUM_THREADS=1 python benchmarks/nested_phases.py FOLDER [--sizes 8 16] [--seeds 3 1]

Everything is made in FOLDER and goes on where it was when the command is given again: a fit of 174
functions (cut-off 4.5 Å) to examples/data; runs of `acepot ns` with 8 and 16 atoms, each with three
pressures that exchange walkers, and with several seeds; their analysis by `acepot ns-analyse` with
the structures of the phases; crystal and liquid in one cell of 512 atoms (`coexistence.py`) at the
same pressures, with the same model. The tables and the diagram are FOLDER/nested_phases.txt and
.png. Times are those of the processor, of all processes of a step together.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from coexistence import Coexistence, Crystal, coexistence
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
CRYSTAL = Crystal("Si", "diamond", 5.46)
#: Pressures in GPa, and where coexistence begins, K.
GUESSES = {0.0: 1500.0, 1.0: 1450.0, 2.0: 1400.0}
FIT = f"""\
[data]
train = "{ROOT}/examples/data/Si_train.extxyz.xz"
test = "{ROOT}/examples/data/Si_test.extxyz.xz"
fit = ["energy", "forces", "virial"]

[basis]
order = 3
degree = [16, 13, 10]
cutoff = 4.5

[weights.default]
energy = 20
virial = 0.1

[weights.Elastic]
virial = 0.7
"""
NESTED = """\
model = "../model/model.acepot"
structure.composition = {{{element} = {atoms}}}

[ensemble]
pressures = [{pressures}]
volume_max = 30

[run]
walkers = {walkers}
length = {length}
batch = 24
seed = {seed}

[stop]
temperature = 1000
"""
#: Walkers of each pressure and evaluations of a walk, by the number of atoms.
EFFORT = {8: (96, 192), 16: (96, 192)}


class Costs:
    """Seconds of processor time of every step, kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, step: str, what: Callable[..., Any], *words: Any) -> Any:
        """Do something with some words, and add what its processes cost."""
        before = _spent()
        try:
            return what(*words)
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + _spent() - before
            self.path.write_text(json.dumps(self.seconds, indent=1) + "\n")


def _spent() -> float:
    who = resource.RUSAGE_CHILDREN
    return resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime


def verb(*words: object) -> None:
    """A command of acepot, in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "acepot", *map(str, words)])
    if done.returncode != 0:
        raise SystemExit(f"acepot {words[0]} ended with {done.returncode}")


def fitted(folder: Path) -> Path:
    """The model, without holes."""
    model = folder / "model" / "model.acepot"
    if not model.exists():
        (folder / "fit.toml").write_text(FIT)
        verb("fit", folder / "fit.toml", "--out", model.parent)
        verb("check", model, "--holes")
    return model


def sampled(folder: Path, atoms: int, seed: int) -> Path:
    """A run of nested sampling."""
    walkers, length = EFFORT[atoms]
    run = folder / "ns" / f"{atoms}-{seed}"
    run.parent.mkdir(exist_ok=True)
    config = run.with_suffix(".toml")
    pressures = ", ".join(f"{one:g}" for one in GUESSES)
    element = CRYSTAL.element
    settings = {"element": element, "atoms": atoms, "pressures": pressures, "seed": seed}
    config.write_text(NESTED.format(walkers=walkers, length=length, **settings))
    verb("ns", config, "--out", run)
    return run


def evaluations(run: Path) -> int:
    """Structures that a run has evaluated."""
    return int((run / "log.csv").read_text().splitlines()[-1].split(",")[1])


def analysed(folder: Path, model: Path, atoms: int, runs: list[Path]) -> list[dict[str, Any]]:
    """The analysis of runs, a table for each pressure."""
    out = folder / "analysis" / str(atoms)
    verb("ns-analyse", *runs, "--out", out, "--quench", model)
    table = json.loads((out / "analysis.json").read_text())
    lines: list[dict[str, Any]] = table["lines"]
    for at in table["pressures"]:
        at["slopes"] = [s for one in lines for s in one["slopes"]]
    return list(table["pressures"])


def melted(folder: Path, model: Path, pressure: float) -> Coexistence:
    """Crystal and liquid in one cell."""
    here = folder / "coexistence" / f"{pressure:g}"
    return coexistence(here, model, CRYSTAL, pressure, GUESSES[pressure], cells=3)


def peak_rows(atoms: int, at: dict[str, Any]) -> list[str]:
    """A row for each peak of C_p, with the structures below it."""
    rows = []
    for peak, below in zip(at["peaks"], at["phases"], strict=False):
        numbers = [
            said(peak["temperature_K"], 1, 0),
            said(peak["heat_capacity_k"], 1 / atoms, 1),
            said(peak["width_K"], 1, 0),
            said(peak["latent_heat_eV"], 1 / atoms, 3),
            said(peak["volume_step_A3"], 1 / atoms, 2),
            said(peak["clapeyron_K/GPa"], 1, 1),
        ]
        sides = "two phases" if peak["two_phases"] else "one maximum"
        names = "; ".join(f"{share:.0%} {name}" for name, share in below["names"].items())
        row = [f"{atoms}", f"{at['pressure_GPa']:g}", *numbers, sides, names]
        rows.append(f"| {' | '.join(row)} |")
    return rows


def said(number: dict[str, float | None] | tuple[float, float], unit: float, digits: int) -> str:
    """A number with its error."""
    value, error = (number["value"], number["error"]) if isinstance(number, dict) else number
    if value is None:
        return ""
    text = f"{value * unit:.{digits}f}"
    return text if error is None else f"{text} ± {error * abs(unit):.{digits}f}"


def slope_rows(atoms: int, pressures: list[dict[str, Any]]) -> list[str]:
    """dT/dP by the temperatures of neighbouring peaks and by their sides."""
    rows = []
    for one in pressures[0]["slopes"]:
        peaks, sides = (said(tuple(one[f"{name}_K/GPa"]), 1, 1) for name in ("peaks", "sides"))
        ends = f"{one['from_GPa']:g} to {one['to_GPa']:g}"
        rows.append(f"| {atoms} | {ends} | {peaks} | {sides} | {one['deviation']:+.1f} |")
    return rows


def processor() -> str:
    """Its name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def text(
    report: dict[str, Any],
    found: dict[int, list[dict[str, Any]]],
    molten: list[Coexistence],
    costs: Costs,
    calls: dict[str, int],
) -> str:
    """All tables."""
    errors = report["test"]["all"]
    machine = f"{processor()}, {platform.system()}, Python {platform.python_version()}"
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}, one thread.",
        f"Model: {report['basis']['total']} functions, test errors (MAE) "
        f"{errors['E']['mae']:.1f} meV/atom and {errors['F']['mae']:.0f} meV/Å.",
        "",
        "| atoms | P, GPa | T, K | C_p/k, atom | width, K | ΔH, eV/atom | ΔV, Å³/atom "
        "| TΔV/ΔH, K/GPa | sides | below |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(row for atoms, every in found.items() for at in every for row in peak_rows(atoms, at)),
        "",
        "| atoms | GPa | dT/dP by temperatures, K/GPa | by TΔV/ΔH | standard errors |",
        "|---|---|---|---|---|",
        *(row for atoms, every in found.items() for row in slope_rows(atoms, every)),
        "",
        "| coexistence of 432 atoms: T, K | P, GPa | crystalline |",
        "|---|---|---|",
        *(
            f"| {said(one.temperature, 1, 0)} | {said(one.pressure, 1, 2)} "
            f"| {one.crystalline:.0%} |"
            for one in molten
        ),
        "",
        "| step | evaluations | processor time, min |",
        "|---|---|---|",
        *(
            f"| {step} | {calls.get(step, '')} | {seconds / 60:.1f} |"
            for step, seconds in costs.seconds.items()
        ),
        f"| all | | {sum(costs.seconds.values()) / 60:.1f} |",
    ]
    return "\n".join(lines) + "\n"


def draw(found: dict[int, list[dict[str, Any]]], molten: list[Coexistence], path: Path) -> None:
    """Temperatures of transitions over pressure."""
    figure = Figure(figsize=(5.0, 4.0), dpi=100)
    axis = figure.subplots()
    for (atoms, every), colour in zip(found.items(), ("#0072b2", "#d55e00"), strict=False):
        peaks = [(at["pressure_GPa"], peak) for at in every for peak in at["peaks"]]
        for index, (p, peak) in enumerate(peaks):
            t = peak["temperature_K"]
            axis.errorbar(
                p, t["value"], t["error"], color=colour, marker="o", capsize=2,
                markerfacecolor=colour if peak["two_phases"] else "white",
                label=None if index else f"nested sampling, {atoms} atoms",
            )  # fmt: skip
            reach = np.array([-0.3, 0.3])
            slope = peak["clapeyron_K/GPa"]["value"]
            axis.plot(p + reach, t["value"] + slope * reach, color=colour)
    for index, one in enumerate(molten):
        (t, dt), (p, dp) = one.temperature, one.pressure
        axis.errorbar(
            p, t, dt, dp, color="#000000", marker="s", capsize=2,
            label=None if index else "coexistence, 432 atoms",
        )  # fmt: skip
    axis.set(xlabel="pressure (GPa)", ylabel="temperature (K)")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Make everything that is not there yet, and write and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, choices=EFFORT, default=[8, 16])
    parser.add_argument("--seeds", nargs="+", type=int, default=[3, 1], help="runs of each size")
    parser.add_argument(
        "--coexistence", nargs="*", type=float, choices=GUESSES, default=list(GUESSES),
        help="pressures at which it is made, GPa",
    )  # fmt: skip
    given = parser.parse_args()
    folder = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    costs = Costs(folder / "costs.json")
    model = costs.of("fit", fitted, folder)
    found, calls = {}, {}
    for atoms, seeds in zip(given.sizes, given.seeds, strict=True):
        steps = {f"{atoms} atoms, seed {seed}": seed for seed in range(1, seeds + 1)}
        runs = [costs.of(one, sampled, folder, atoms, seed) for one, seed in steps.items()]
        calls |= {one: evaluations(run) for one, run in zip(steps, runs, strict=True)}
        found[atoms] = analysed(folder, model, atoms, runs)
    molten = [
        costs.of(f"coexistence at {p:g} GPa", melted, folder, model, p) for p in given.coexistence
    ]
    report = json.loads((model.parent / "report.json").read_text())
    tables = text(report, found, molten, costs, calls)
    (folder / "nested_phases.txt").write_text(tables)
    draw(found, molten, folder / "nested_phases.png")
    print(tables)


if __name__ == "__main__":
    main()
