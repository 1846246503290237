"""Phases of a model without guessing them: nested sampling of eight atoms of silicon.

    python examples/08_nested_sampling.py [--walkers 64] [--length 48]

Walkers spread over all volumes and structures at zero pressure; the worst is given up, again and
again, and what is left at the end is the ground state. The analysis turns the list of what was
given up into the heat capacity at every temperature, whose peak is where silicon melts. With these
few walkers and short walks it takes a minute or two and the peak is rough;
`examples/ns/silicon.toml` has settings of a real run.
"""

import argparse
from pathlib import Path

from acepot import shelf
from acepot.cli.main import main

parser = argparse.ArgumentParser()
parser.add_argument("--walkers", type=int, default=64)
parser.add_argument("--length", type=int, default=48, help="of a walk")
options = parser.parse_args()

Path("nested.toml").write_text(
    f"""model = "{shelf.path("Si").as_posix()}"
structure.composition = {{Si = 8}}

[ensemble]
pressures = [0]
volume_max = 30

[run]
walkers = {options.walkers}
length = {options.length}
batch = 8
seed = 1

[stop]
temperature = 800
""",
    encoding="utf-8",
)
for words in (["ns", "nested.toml", "--out", "nested"], ["ns-analyse", "nested"]):
    if main(words):
        raise SystemExit(1)
