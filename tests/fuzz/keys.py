"""Every documented key of every TOML file set to values of every type: refused by name, or read.

    python tests/fuzz/keys.py --count 10000

The examples of the documentation are the seeds. In each case one key, or a table, gets another
value, a key is added, or one is left out, and the file is loaded. Anything but a result or an error
of ours is a failure: another exception, a warning, more than `PATIENCE` seconds.
"""

from __future__ import annotations

import argparse
import math
import resource
import signal
import sys
import tempfile
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from acepot.chain import settings as chain
from acepot.defects import settings as defects
from acepot.errors import AceError
from acepot.fitting.charges import config as charges
from acepot.fitting.config import load_config as load_fit
from acepot.friction import config as friction
from acepot.friction.coarse import config as coarse
from acepot.hal import config as hal
from acepot.hamiltonian import config as hamiltonian
from acepot.md import config as md
from acepot.sampling import config as ns
from acepot.schema import to_toml
from acepot.search.settings import load_search

DOCS = Path(__file__).parents[2] / "docs"
#: Seconds for one file, bytes by which the process may grow.
PATIENCE, MEMORY = 20.0, 2**30
VALUES: tuple[Any, ...] = (
    0, 1, -1, 2, 127, 10**9, 2**63 - 1, -(2**63), 0.0, -0.0, 0.5, 1e-300, 5e-324, 1e300, -1e300,
    float("nan"), float("inf"), -float("inf"), True, False, "", " ", "a", "é", "a" * 5000, "../..",
    "/dev/zero", "a\nb", "a\x00b", "${HOME}", "1", "nan", "Si", "qr", [], [1], [""], ["Si", "Si"],
    [[1]], [1.5, "a"], [0] * 5000, {}, {"a": 1}, {"Si": -1.0}, {"kind": "none"}, {"kind": ""},
    [{"kind": "x"}], {"": {"": 0}},
)  # fmt: skip
LOADERS: dict[str, Callable[[Path], object]] = {
    "fit_toml": load_fit, "md_toml": md.load_config, "ns_toml": ns.load_config,
    "hal_toml": hal.load_config, "hamiltonian_toml": hamiltonian.load_config,
    "defects": defects.load_config, "chain": chain.load_config, "charges": charges.load_config,
    "front": load_search, "friction": friction.load_config, "coarse": coarse.load_config,
}  # fmt: skip


def seeds() -> dict[str, list[dict[str, Any]]]:
    """Tables of the examples by kind of file; those that do not load alone are left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for page in sorted({*LOADERS} - {"coarse"}):
            for text in _blocks(DOCS / f"{page}.md"):
                table = tomllib.loads(text)
                kind = "coarse" if page == "friction" and "fine" in table else page
                if kind == "fit_toml" and "data" not in table:
                    table = {"data": {"train": "train.xyz"}, **table}
                if verdict(kind, table, Path(folder) / "seed.toml") == "read":
                    found.setdefault(kind, []).append(table)
    return found


def _blocks(page: Path) -> Iterator[str]:
    for part in page.read_text(encoding="utf-8").split("```toml\n")[1:]:
        yield part.partition("```")[0]


def mutant(seed: int, number: int, tables: dict[str, list[dict[str, Any]]]) -> tuple[str, Any, str]:
    """The kind of file of a number, its tables, and what was done."""
    random = Random(f"{seed}/{number}")
    kind = random.choice(sorted(tables))
    table = deepcopy(random.choice(tables[kind]))
    places: list[tuple[Any, Any, str]] = []
    waiting: list[tuple[Any, str]] = [(table, "")]
    while waiting:
        node, name = waiting.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key, f"{name}{key}"))
            if isinstance(node[key], (dict, list)):
                waiting.append((node[key], f"{name}{key}."))
    node, key, name = random.choice(places)
    how = random.random()
    if how < 0.05:
        del node[key]
        return kind, table, f"{name} left out"
    value = deepcopy(random.choice(VALUES))
    if how < 0.1 and isinstance(node, dict):
        node[random.choice(("", "kind", "x", "seed", "é", str(key).upper()))] = value
        return kind, table, f"beside {name}: {value!r:.40}"
    node[key] = value
    return kind, table, f"{name} = {value!r:.40}"


def verdict(kind: str, table: dict[str, Any], path: Path) -> str:
    """Write and load a file: read, refused, or what went wrong."""
    try:
        path.write_text(to_toml(table), encoding="utf-8")
    except (AceError, TypeError, ValueError):
        return "no TOML"  # such as lists of different things
    try:
        LOADERS[kind](path)
    except AceError:
        return "refused"
    except Exception as error:
        return f"FAILED {type(error).__name__}: {str(error)[:200]}"
    return "read"


def campaign(count: int, seed: int) -> tuple[Counter[str], float, list[str]]:
    """All files: how often each end came, the longest time in seconds, and what failed."""
    tables, ends, slowest, failed = seeds(), Counter[str](), 0.0, []
    if set(tables) != set(LOADERS):
        failed.append(f"no example of {sorted(set(LOADERS) - set(tables))}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGALRM, _late)
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            kind, table, what = mutant(seed, number, tables)
            begin = time.perf_counter()
            signal.alarm(math.ceil(PATIENCE))
            end = verdict(kind, table, Path(folder) / "run.toml")
            signal.alarm(0)
            spent = time.perf_counter() - begin
            slowest = max(slowest, spent)
            ends[end.partition(" ")[0]] += 1
            if end.startswith("FAILED"):
                failed.append(f"{number} {kind}: {what}: {end}")
    signal.signal(signal.SIGALRM, old)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if grown > MEMORY:
        failed.append(f"the process grew by {grown / 2**20:.0f} MB")
    return ends, slowest, failed


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"more than {PATIENCE:g} s")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ends, slowest, failed = campaign(options.count, options.seed)
    for end, times in ends.most_common():
        print(f"{times:8d}  {end}")
    print(f"slowest {slowest:.2f} s; {len(failed)} failures")
    print("\n".join(failed[:50]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
