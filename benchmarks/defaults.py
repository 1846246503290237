"""The default fit on every set of data, beside the best settings found by hand.

    python benchmarks/defaults.py [--data FOLDER] [--sets NAME ...] [--fits default qr hand]
                                  [--short] [--csv FILE]

Each fit is `acepot fit TRAIN --test TEST --out DIR` in a process of its own, whose peak memory,
time and processor time are taken; `qr` adds --solver qr, `hand` gives the settings of the table
below. "claimed" is the residual that the solver's noise stands for, over the one that its
coefficients leave. A set without a test set of its own is split: every fifth, say, is for the
test, as the table has it.
--short takes at most 150 structures of a few small sets, for a first look.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import acepot
from acepot.io.structures.labels import LabelKeys


@dataclass(frozen=True)
class Set:
    """A set of data: its files, or one file and every how many-th structure is for the test."""

    train: str
    test: str | int = 5
    keys: str = ""
    hand: dict[str, object] = field(default_factory=dict)


def mlearn(element: str) -> Set:
    """A set of Zuo et al., which has its own test set."""
    files = (f"mlearn_zuo2020/{element}_{part}.extxyz.xz" for part in ("train", "test"))
    return Set(*files, hand={"degree": [25, 21, 17]})


def molecule(train: str, test: str, degree: list[int]) -> Set:
    """A set of molecules: by hand one cut-off and one r0 for all pairs."""
    hand = {"degree": degree, "wl": 0.5, "cutoff": 4.5, "r0": 1.1}
    return Set(f"{train}.extxyz.xz", f"{test}.extxyz.xz", hand=hand)


def rmd17(name: str, degree: list[int]) -> Set:
    """A molecule of rMD17."""
    return molecule(f"rmd17/{name}_train", f"rmd17/{name}_test", degree)


#: By hand: the best of the settings that were tried on each, under the same limits of time and
#: memory.
SETS = {
    "si-tiny": Set(
        "si_gap_prx2018/Si_tiny.xyz", 5, "energy=dft_energy,forces=dft_force,virial=dft_virial",
        {"degree": [20, 16, 12]},
    ),
    "ti-al": Set("tial/TiAl_tutorial.extxyz.xz", 6, hand={"degree": [12, 10, 8]}),
    "ti-al-tiny": Set("tial/TiAl_tiny.xyz", 5, hand={"degree": [10, 8, 6]}),
    "crmnfeconi": Set("hea_crmnfeconi/HEA_randII_20.extxyz.xz", 5, hand={"degree": [5, 4, 3]}),
    "ta": Set("ta_fitsnap/Ta.extxyz.xz", 5, hand={"degree": [20, 16, 12], "cutoff": 5.0}),
    "al": Set("al_ld_md/Al_LD_MD.extxyz.xz", 5, hand={"degree": [25, 20, 15]}),
    "cu-df2": Set("cu_pacemaker/Cu_df2_1k.extxyz.xz", 20, hand={"degree": [25, 21, 17]}),
    "cu-df1": Set("cu_pacemaker/Cu_df1.extxyz.xz", 5, hand={"degree": [16, 13, 10]}),
    "si-pyxtal": Set(
        "si_pyxtal/Si_pyxtal_E_below_-4eV.extxyz.xz", 10, hand={"degree": [25, 21, 17]}
    ),
    "li": mlearn("Li"),
    "si": mlearn("Si"),
    "cu": mlearn("Cu"),
    "ni": mlearn("Ni"),
    "nbmotaw": Set(
        "monbtaw_snap2020/train.extxyz.xz", "monbtaw_snap2020/test.extxyz.xz",
        hand={"degree": [9, 7, 5]},
    ),
    "eth-meth": molecule(
        "ethanol_botnet/train_eth_meth", "ethanol_botnet/test_eth_meth", [10, 8, 6]
    ),
    "3bpa": molecule("3bpa/train_300K", "3bpa/train_mixedT", [8, 7, 5]),
    "ethanol": rmd17("ethanol", [10, 8, 6]),
    "malonaldehyde": rmd17("malonaldehyde", [10, 8, 6]),
    "benzene": rmd17("benzene", [12, 10, 7]),
    "toluene": rmd17("toluene", [12, 10, 7]),
    "naphthalene": rmd17("naphthalene", [12, 10, 7]),
    "salicylic": rmd17("salicylic", [10, 8, 6]),
    "aspirin": rmd17("aspirin", [10, 8, 6]),
    "azobenzene": rmd17("azobenzene", [10, 8, 6]),
    "uracil": rmd17("uracil", [8, 7, 5]),
}  # fmt: skip
#: For a first look: sets that are fitted in seconds, and how many structures of each.
SHORT, SHORT_STRUCTURES = ("si-tiny", "ti-al", "si", "ethanol"), 150
COLUMNS = (
    "set", "fit", "functions", "rows", "seconds", "CPU s", "GB", "claimed", "train E", "train F",
    "test E", "test F", "test E MAE", "test F MAE", "basis",
)  # fmt: skip


def split(data: Path, one: Set, folder: Path, most: int | None) -> tuple[Path, Path]:
    """The files to fit and to test with; copies where the set is split or cut short."""
    if isinstance(one.test, str) and most is None:
        return data / one.train, data / one.test
    keys = dict(part.split("=") for part in one.keys.split(",")) if one.keys else {}
    labels = LabelKeys(**keys)
    structures, _ = acepot.read_structures(data / one.train, labels)
    if isinstance(one.test, str):
        train, test = structures, acepot.read_structures(data / one.test, labels)[0]
    else:
        test = structures[one.test - 1 :: one.test]
        train = [s for i, s in enumerate(structures) if i % one.test != one.test - 1]
    names = folder / "train.xyz", folder / "test.xyz"
    for name, part in zip(names, (train, test), strict=True):
        step = 1 if most is None else max(1, len(part) // most)
        acepot.write_structures(name, part[::step])
    return names


def fit(one: Set, kind: str, train: Path, test: Path, folder: Path) -> dict[str, object]:
    """One row of the table: a fit in a process of its own."""
    out = folder / kind
    own = ["--keys", one.keys] if one.keys and train.parent != folder else []
    command = [sys.executable, "-m", "acepot", "fit", "--no-plots", "--out", str(out)]
    if kind == "hand":
        files = {"train": str(train), "test": str(test)}
        basis = " , ".join(f"{key} = {json.dumps(value)}" for key, value in one.hand.items())
        toml = folder / "hand.toml"
        toml.write_text(f"data = {{train = {files['train']!r}, test = {files['test']!r}"
                        f"{_toml_keys(own)}}}\nbasis = {{{basis}}}\n")  # fmt: skip
        command.append(str(toml))
    else:
        command += [str(train), "--test", str(test), *own]
        command += ["--solver", "qr"] if kind == "qr" else []
    begin = time.monotonic()
    said, refused = folder / "said", folder / "refused"
    with said.open("w") as output, refused.open("w") as error:
        process = subprocess.Popen(command, stdout=output, stderr=error)
        _, status, used = os.wait4(process.pid, 0)  # with the memory of this child alone
    seconds = time.monotonic() - begin
    row: dict[str, object] = {
        "fit": kind,
        "seconds": f"{seconds:.0f}",
        "CPU s": f"{used.ru_utime + used.ru_stime:.0f}",
        "GB": f"{used.ru_maxrss / 1e6:.2f}",
    }
    if status != 0:
        message = refused.read_text().strip().splitlines() or ["no message"]
        return row | {"basis": message[-1]}
    report = json.loads((out / "report.json").read_text())
    row |= {"functions": report["basis"]["total"], "rows": report["solver"]["rows"]}
    solver = report["solver"]
    freedom = solver["rows"] - solver["effective parameters"]
    claimed = solver["noise variance"] * freedom
    row["claimed"] = f"{claimed / max(solver['residual'], 1e-300):.3f}"
    for part in ("train", "test"):
        for name in "EF":
            errors = report[part]["all"].get(name)
            if errors:
                row[f"{part} {name}"] = f"{errors['rmse']:.2f}"
                if part == "test":
                    row[f"test {name} MAE"] = f"{errors['mae']:.2f}"
    chosen = [line for line in said.read_text().splitlines() if line.startswith("basis: chosen")]
    return row | {"basis": chosen[0][7:] if chosen else str(one.hand)}


def _toml_keys(own: list[str]) -> str:
    pairs = own[1].split(",") if own else []
    return "".join(f', {k}_key = "{v}"' for k, v in (pair.split("=") for pair in pairs))


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options.add_argument("--sets", nargs="+", choices=SETS, default=None)
    kinds = ("default", "qr", "hand")
    options.add_argument("--fits", nargs="+", choices=kinds, default=list(kinds))
    options.add_argument("--short", action="store_true")
    options.add_argument("--csv", type=Path)
    chosen = options.parse_args()
    chosen.data = chosen.data.resolve()  # a TOML file's own are relative to its folder
    names = chosen.sets or (SHORT if chosen.short else list(SETS))
    print(f"{platform.machine()}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}")
    print("\t".join(COLUMNS))
    rows = []
    for name in names:
        if not (chosen.data / SETS[name].train).exists():
            print(f"{name}: skipped, {chosen.data / SETS[name].train} is not there")
            continue
        with tempfile.TemporaryDirectory() as place:
            most = SHORT_STRUCTURES if chosen.short else None
            train, test = split(chosen.data, SETS[name], Path(place), most)
            for kind in chosen.fits:
                row = {"set": name} | fit(SETS[name], kind, train, test, Path(place))
                rows.append(row)
                print("\t".join(str(row.get(column, "")) for column in COLUMNS), flush=True)
                if chosen.csv:
                    with chosen.csv.open("w", newline="") as file:
                        writer = csv.DictWriter(file, COLUMNS)
                        writer.writeheader()
                        writer.writerows(rows)


if __name__ == "__main__":
    main()
