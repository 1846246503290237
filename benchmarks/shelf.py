"""The models that come with acepot, fitted anew: python benchmarks/shelf.py DATA CHARGES OUT.

DATA has the data sets as their folders are named below; CHARGES what `benchmarks/charge_data.py`
made. For each model OUT/NAME gets its data, `fit.toml` and all that the fit leaves; then model,
settings, report, properties and a card go to `acepot/shelf/NAME`, and `acepot/shelf/index.json` and
`docs/models.md` are written. Models whose folder in OUT is complete are not fitted again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

import acepot
from acepot import Potential, Structure
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.cli.main import main as run
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.readers import read_friction
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.formats.registry import read
from acepot.io.structures.datasets import read_structures
from acepot.model import AnyModel

HERE = Path(__file__).parent
SHELF = HERE.parent / "acepot" / "shelf"
PAGE = HERE.parent / "docs" / "models.md"
MLEARN = "mlearn benchmark, Zuo et al., J. Phys. Chem. A 124, 731 (2020), VASP PBE"
SNAP = "NbMoTaW data of Li et al., npj Comput. Mater. 6, 70 (2020), VASP PBE"
RMD17 = "rMD17, Christensen and von Lilienfeld (2020), PBE/def2-SVP, split 1"
#: Fitted artificial squeezed cells, and a committee for every later question.
MORE = "\n[restraint]\ncells = 100\n\n[committee]\nsize = 8\n"
#: Settings of models/Si-mlearn, behind the names of its data.
SILICON = (HERE.parent / "models" / "Si-mlearn" / "fit.toml").read_text(encoding="utf-8")
SILICON = "fit = " + SILICON.partition("fit = ")[2]
_ANY: Any = AnyModel


@dataclass(frozen=True)
class Entry:
    """A model of the shelf.

    Args:
        name: of its folder.
        about: what it is, in a line.
        source: of the data.
        licence: of the data.
        toml: settings of the fit behind those of the data.
        verb: of acepot that fits.
        crystal: of which properties are computed; empty: of none.
        warning: what it is not good for.
    """

    name: str
    about: str
    source: str
    licence: str
    toml: str = MORE
    verb: tuple[str, ...] = ("fit",)
    crystal: str = ""
    warning: str = ""
    data: dict[str, str] = field(default_factory=dict)


def unary(symbol: str) -> Entry:
    """An element of the SNAP data."""
    return Entry(
        symbol, f"{symbol}, crystal, melt and surfaces", SNAP, "BSD-3-Clause",
        crystal=f"{symbol}:bcc",
        warning="vacancies and interstitials, none of which are in the data",
    )  # fmt: skip


ENTRIES = (
    Entry("Si", "silicon: crystal, melt, vacancies, surfaces", MLEARN, "BSD-3-Clause",
          SILICON, crystal="Si:diamond",
          warning="surfaces beyond 11 meV/atom, dense phases, clusters"),
    Entry("Li", "lithium: crystal, melt, vacancies, surfaces", MLEARN, "BSD-3-Clause",
          crystal="Li:bcc", warning="pressures beyond a few GPa"),
    unary("Mo"), unary("Nb"), unary("Ta"), unary("W"),
    Entry("MoNbTaW", "alloys of four refractory metals, pairs of them in the data", SNAP,
          "BSD-3-Clause", warning="three and four elements at once, which are extrapolated"),
    Entry("ethanol", "the molecule at 500 K", RMD17, "CC0", warning="other molecules, reactions"),
    Entry("aspirin", "the molecule at 500 K", RMD17, "CC0", warning="other molecules, reactions"),
    Entry("3BPA", "3-(benzyloxy)pyridin-2-amine at 300, 600 and 1200 K",
          "Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021), ωB97X/6-31G(d)", "MIT",
          warning="other molecules, reactions"),
    Entry("NaCl-charges", "rock salt with charges that equilibrate", "GFN1-xTB, tblite",
          "CC0, made by benchmarks/charge_data.py",
          "\n[fit.basis]\norder = 2\ndegree = 9\ncutoff = 5.5\n", ("charges", "fit"),
          warning="work on rock salt, for which GFN1 is no reference"),
    Entry("Al-hamiltonian", "H and S of aluminium, bands and levels", "PBE, PySCF",
          "CC0, benchmarks/data/aluminium", "", ("hamiltonian", "fit"),
          warning="work on aluminium: an example, fitted to small cells"),
    Entry("Ar-friction", "pairs that rub against each other, as in dissipative particle dynamics",
          "a closed form, examples/10_friction.py", "CC0", "", ("friction", "fit"),
          warning="real argon: an example"),
)  # fmt: skip


# ---------------------------------------------------------------- data


def data(entry: Entry, given: Path, charges: Path, home: Path) -> str:
    """Put the data of an entry into its folder: the table [data] of its settings."""
    plain = '[data]\ntrain = "train.extxyz"\ntest = "test.extxyz"\n'
    if entry.source in (MLEARN, RMD17):
        folder = "mlearn_zuo2020" if entry.source == MLEARN else "rmd17"
        for part in ("train", "test"):
            structures, _ = read_structures(given / folder / f"{entry.name}_{part}.extxyz.xz")
            acepot.write_structures(home / f"{part}.extxyz", structures)
        return plain
    if entry.source == SNAP:
        rng = np.random.default_rng(1)
        for part in ("train", "test"):
            structures, _ = read_structures(given / "monbtaw_snap2020" / f"{part}.extxyz.xz")
            if entry.name != "MoNbTaW":
                number = atomic_number(entry.name)
                structures = [s for s in structures if (s.numbers == number).all()]
            elif part == "train":
                structures = [structures[k] for k in sorted(rng.permutation(len(structures))[:900])]
            acepot.write_structures(home / f"{part}.extxyz", structures)
        return plain
    if entry.name == "3BPA":
        structures, _ = read_structures(given / "3bpa" / "train_mixedT.extxyz.xz")
        order = np.random.default_rng(1).permutation(len(structures))
        cut = int(0.9 * len(order))
        for part, kept in (("train", order[:cut]), ("test", order[cut:])):
            acepot.write_structures(home / f"{part}.extxyz", [structures[k] for k in sorted(kept)])
        return plain
    if entry.name == "NaCl-charges":
        text = (charges / "nacl.extxyz").read_text(encoding="utf-8")
        frames = text.splitlines(keepends=True)
        split: list[list[str]] = []
        while frames:
            count = int(frames[0]) + 2
            split.append(frames[:count])
            frames = frames[count:]
        for part, kept in (("train", split[: 4 * len(split) // 5]), ("test", split[-60:])):
            (home / f"{part}.extxyz").write_text("".join(map("".join, kept)), encoding="utf-8")
        return '[data]\ntrain = ["train.extxyz"]\ntest = ["test.extxyz"]\n'
    if entry.name == "Al-hamiltonian":
        folder = HERE / "data" / "aluminium"
        for name in ("al1.npz", "al2.npz", "al_test1.npz", "al_test4.npz", "aluminium.toml"):
            shutil.copy(folder / name, home / name)
        return (folder / "aluminium.toml").read_text(encoding="utf-8")
    words = [sys.executable, str(HERE.parent / "examples" / "10_friction.py"), "--steps", "20"]
    subprocess.run(words, cwd=home, check=True, capture_output=True)
    return (home / "friction.toml").read_text(encoding="utf-8")


# ---------------------------------------------------------------- what it is worth


def errors(entry: Entry, home: Path) -> str:
    """Errors on the test set, in words."""
    report = json.loads((home / "out" / "report.json").read_text(encoding="utf-8"))
    if entry.verb == ("fit",):
        test = report["test"]["all"]
        return f"{test['E']['mae']:.1f} meV/atom, {test['F']['mae']:.0f} meV/Å"
    if entry.verb[0] == "charges":
        test = report["errors"]["test"]
        return (
            f"{test['energy']:.1f} meV/atom, {test['forces']:.0f} meV/Å, {test['charges']:.1f} me"
        )
    if entry.verb[0] == "friction":
        return f"{100 * report['errors']['test']['relative']:.1f} % of Γ"
    levels = [one["occupied"]["mae"] for one in report["levels"]["test"]]
    return f"{np.mean(levels):.1f} meV, occupied levels"


def holes(entry: Entry, home: Path) -> str:
    """What `acepot check --holes` finds, in words."""
    report = json.loads((home / "out" / "report.json").read_text(encoding="utf-8"))
    found = report.get("holes", {}).get("found", 0)
    return f" `acepot check --holes` finds {found} where atoms are too close." if found else ""


def cost(model: Any, one: Structure) -> float:
    """µs for an atom, one thread, median of many calls."""
    if isinstance(model, (acepot.Model, acepot.ChargeModel)):
        potential = Potential(model, threads=1)
        call: Any = potential.compute
    elif isinstance(model, acepot.FrictionModel):
        call = FrictionEvaluator(model, threads=1).gamma
    else:
        call = HamiltonianEvaluator(model, threads=1).matrices
    call(one)
    times, begin = [], time.perf_counter()
    while len(times) < 7 or time.perf_counter() - begin < 0.5:
        start = time.perf_counter()
        call(one)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times) / len(one)


def example(entry: Entry, home: Path) -> Structure:
    """A structure to measure the time on: the largest of its test set."""
    if entry.verb[0] == "hamiltonian":
        return read(home / "al_test4.npz")[0].snapshot.structure
    if entry.verb[0] == "friction":
        return read_friction(home / "test.npz", say=lambda _: None)[0].structure
    structures, _ = read_structures(home / "test.extxyz")
    return max(structures, key=len)


def properties(entry: Entry, home: Path) -> list[str]:
    """Lattice, elasticity, vacancy and surfaces of a crystal, for the card."""
    out = home / "properties"
    words = ["properties", str(home / "out" / "model.acepot"), entry.crystal, "--out", str(out)]
    if run([*words, "--skip", "phonons", "expansion", "interstitials", "--atoms", "128"]):
        return []
    table = json.loads((out / "properties.json").read_text(encoding="utf-8"))
    rows = ["| property | value | error by the committee |", "|---|---|---|"]
    for one in table["structures"][entry.crystal].values():
        for v in one["values"]:
            if v["error"] is not None:
                unit = f" {v['unit']}" if v["unit"] else ""
                rows.append(f"| {v['name']} | {v['value']:.4g}{unit} | {v['error']:.2g} |")
    return rows


def placed(entry: Entry, home: Path) -> dict[str, Any]:
    """Model, settings, report and card go to the shelf."""
    target = SHELF / entry.name
    target.mkdir(parents=True, exist_ok=True)
    model_file = home / "out" / "model.acepot"
    for source, name in (
        (model_file, "model.acepot"),
        (home / "fit.toml", "fit.toml"),
        (home / "out" / "report.json", "report.json"),
    ):
        shutil.copy(source, target / name)
    model = acepot.load(model_file, _ANY)
    raw = model_file.read_bytes()
    told = {
        "name": entry.name, "about": entry.about, "elements": [SYMBOLS[z] for z in model.numbers],
        "source": entry.source, "data licence": entry.licence, "errors": errors(entry, home),
        "microseconds": round(cost(model, example(entry, home)), 1), "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(), "not for": entry.warning,
    }  # fmt: skip
    verb = " ".join(entry.verb)
    lines = [
        f"# {entry.name}", "", f"{entry.about[0].upper()}{entry.about[1:]}.", "",
        f"- Data: {entry.source}; {entry.licence}. The model is MIT licensed.",
        f"- Errors on structures that were not fitted: {told['errors']}.",
        f"- {told['microseconds']} µs an atom on one thread.",
        f"- Not for: {entry.warning}.{holes(entry, home)}",
        f"- Made by `acepot {verb} fit.toml --out DIR`; `report.json` has all errors.",
    ]  # fmt: skip
    if entry.crystal:
        lines += ["", *properties(entry, home)]
    (target / "card.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return told


def page(found: list[dict[str, Any]]) -> str:
    """The table of all models."""
    head = f"""# Models

`acepot models` lists them, `acepot models NAME --out model.acepot` gets one, and
`acepot.load(shelf.path(NAME))`, with `from acepot import shelf`, opens it. Each has its settings,
its report and a card with what it is not for in `acepot/shelf/NAME`. They are small, made to try
things with. Errors are means of absolute errors on structures that were not fitted; times are of
one thread, {machine()}. All of it is made by one command:

    python benchmarks/shelf.py DATA CHARGES OUT

| model | errors | µs/atom | kB | SHA-256 begins |
|---|---|---|---|---|
"""
    rows = "".join(
        f"| {m['name']} | {m['errors']} | {m['microseconds']} | {m['bytes'] / 1000:.0f} | "
        f"`{m['sha256'][:12]}` |\n"
        for m in found
    )
    items = (
        f"- {m['name']}: {m['about']}. Data: {m['source']}; {m['data licence']}. Not for: "
        f"{m['not for']}."
        for m in found
    )
    told = (textwrap.fill(one, 99, subsequent_indent="  ", break_on_hyphens=False) for one in items)
    return f"{head}{rows}\n" + "\n".join(told) + "\n"


def main() -> None:
    """Fit what is not fitted, and put all on the shelf."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("charges", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="fit these")
    options = parser.parse_args()
    found = []
    for entry in ENTRIES:
        home = options.out / entry.name
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "out" / "model.acepot").exists():
            if options.only and entry.name not in options.only:
                continue
            table = data(entry, options.data, options.charges, home)
            (home / "fit.toml").write_text(f"{table}{entry.toml}", encoding="utf-8")
            begin = time.perf_counter()
            words = [*entry.verb, str(home / "fit.toml"), "--out", str(home / "out")]
            if run([*words, "--no-plots"] if entry.verb[0] != "hamiltonian" else words):
                raise SystemExit(f"{entry.name}: the fit failed")
            print(f"{entry.name}: fitted in {time.perf_counter() - begin:.0f} s", flush=True)
        found.append(placed(entry, home))
        print(json.dumps(found[-1], ensure_ascii=False), flush=True)
    with (SHELF / "index.json").open("w", encoding="utf-8") as file:
        json.dump(found, file, indent=1, ensure_ascii=False)
        file.write("\n")
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
