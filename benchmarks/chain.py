"""From the reference to properties of silicon and levels of aluminium: python benchmarks/chain.py.

Silicon: the potential of models/Si-mlearn fitted with its posterior, judged on the 25 test
structures of mlearn; reference values are those of density-functional theory in Bartók et al.
(2018), whose functional is another one, and the reference's errors are how far apart the two
functionals are in the lattice constant, and 2 % of elastic constants. Aluminium: the Hamiltonian of
benchmarks/data/aluminium, judged on its two test files. Pages go to OUT, tables are printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from machine import machine

from acepot.chain.report import lines
from acepot.chain.run import chain
from acepot.chain.settings import load_config
from acepot.cli.main import main as acepot

HERE = Path(__file__).parent
DATA = HERE.parent / "examples" / "data"
VALUES = """name = "CASTEP, PW91 (Bartók et al. 2018)"
[structures."Si:diamond"]
a = 5.461
C11 = 153.3
C12 = 56.3
C44 = 72.2
"vacancy Si" = 3.673
"surface 100" = 0.1357
"surface 110" = 0.0946
"surface 111" = 0.0979
"""
ERRORS = """[structures."Si:diamond"]
a = 0.008
C11 = 3.1
C12 = 1.1
C44 = 1.4
"""
SILICON = """structure = "Si:diamond"
[reference]
name = "VASP, PBE (Zuo et al. 2020)"
values = "values.toml"
errors = "errors.toml"
[potential]
model = "Si/model.acepot"
posterior = "Si/posterior.acepot"
test = ["{test}"]
"""
ALUMINIUM = """structure = "Al:fcc:4.05"
[reference]
name = "PySCF, PBE"
[hamiltonian]
model = "Al/model.acepot"
test = ["{data}/al_test1.npz", "{data}/al_test4.npz"]
"""


def potential(home: Path) -> None:
    """Fit silicon, with its posterior instead of a committee."""
    text = (HERE.parent / "models" / "Si-mlearn" / "fit.toml").read_text(encoding="utf-8")
    text = text.replace("../../examples/data", DATA.resolve().as_posix())
    (home / "fit.toml").write_text(text.replace("size = 16", "calibrate = true"), encoding="utf-8")
    if acepot(["fit", str(home / "fit.toml"), "--out", str(home / "Si")]):
        raise SystemExit(1)


def hamiltonian(home: Path) -> None:
    """Fit aluminium."""
    toml = HERE / "data" / "aluminium" / "aluminium.toml"
    if acepot(["hamiltonian", "fit", str(toml), "--out", str(home / "Al")]):
        raise SystemExit(1)


def main() -> None:
    """Fit both, and print the tables of both chains."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for models and pages")
    home = parser.parse_args().out.resolve()
    home.mkdir(parents=True, exist_ok=True)
    potential(home)
    hamiltonian(home)
    (home / "values.toml").write_text(VALUES, encoding="utf-8")
    (home / "errors.toml").write_text(ERRORS, encoding="utf-8")
    test = (DATA / "Si_test.extxyz.xz").resolve().as_posix()
    data = (HERE / "data" / "aluminium").resolve().as_posix()
    print(machine())
    for name, text in (
        ("silicon", SILICON.format(test=test)), ("aluminium", ALUMINIUM.format(data=data)),
    ):  # fmt: skip
        (home / f"{name}.toml").write_text(text, encoding="utf-8")
        found = chain(load_config(home / f"{name}.toml"), home / f"{name}-chain", say=print)
        print("\n".join(["", name, "", *lines(*found)]), flush=True)


if __name__ == "__main__":
    main()
