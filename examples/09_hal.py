"""A potential from a handful of calculations: hyperactive learning.

    python examples/09_hal.py [--references 40]

A potential starts from a crystal and a few atoms at random places, is driven towards what it does
not know, and asks the reference only there. Here the reference is a model that comes with acepot,
in place of hours of density functional theory; any calculator of ASE can stand there. It takes half
a minute. `run/report.html` shows what happened, and the model goes into every engine.
"""

import argparse
from pathlib import Path

import acepot
from acepot import shelf
from acepot.cli.main import main

parser = argparse.ArgumentParser()
parser.add_argument("--references", type=int, default=40, help="calculations at most")
options = parser.parse_args()
examples = Path(__file__).parent.resolve()

text = (examples / "hal" / "silicon.toml").read_text(encoding="utf-8")
text = text.replace('"diamond.xyz"', f'"{(examples / "hal" / "diamond.xyz").as_posix()}"')
text = text.replace("../../models/Si-mlearn/model.acepot", shelf.path("Si").as_posix())
text = text.replace("references = 75", f"references = {options.references}")
Path("hal.toml").write_text(text, encoding="utf-8")
if main(["hal", "hal.toml", "--out", "run"]):
    raise SystemExit(1)

learned, known = acepot.load("run/model.acepot"), acepot.load(shelf.path("Si"))
(crystal,), _ = acepot.read_structures(examples / "hal" / "diamond.xyz")
energies = [
    acepot.Potential(one).compute(crystal).energy / len(crystal) for one in (learned, known)
]
print(f"diamond: {1000 * (energies[0] - energies[1]):+.1f} meV/atom from the reference")
