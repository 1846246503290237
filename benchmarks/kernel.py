"""Speed of the native evaluator: of large and small cells, committees, threads, at scale.

    OMP_NUM_THREADS=1 python benchmarks/kernel.py [--rounds 7] [--parts copper small ...]

Energies, forces and virial from positions, neighbour list included, as engines call it.
PROTOTYPE is a folder with the sources of the kernel prototype, which has no virial and is handed
its list; it is compiled with the same compiler and its calls and ours take turns, so that a clock
that changes within seconds slows both. DATA
holds the potential Cu-PBE-core-rep. Parts whose folders are absent are skipped. Medians over the
rounds; compare ratios, not times, between machines.
"""

import argparse
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from acepot import Structure
from acepot.evaluate.native import NativeEvaluator, instruction_sets
from acepot.evaluate.protocol import species_of
from acepot.io.pace import read_pace
from acepot.io.registry import load
from acepot.lowering import lower
from acepot.model import Model
from acepot.tables import Tables

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
SILICON = ROOT / "models" / "Si-mlearn" / "model.acepot"
FLAGS = ["-std=gnu++17", "-O3", "-ffast-math", "-fno-math-errno", "-Wno-psabi",
         "-Wno-ignored-attributes"]  # fmt: skip
TARGETS = {"avx512": ["-march=native", "-mprefer-vector-width=512"], "avx2": ["-march=haswell"]}
#: Arguments of the prototype's generator, and its recorded time relative to its copper.
SYNTHETIC = {
    "3,003 functions": (["1", "3000", "(16,8,6,4,2)", "(0,6,5,3,1)", "2", "7.0"], 30.1 / 13.7),
    "three elements": (["3", "1200", "(16,6,4,3)", "(0,4,3,2)", "2", "6.0"], 4.74 / 13.7),
    "1,000 linear": (["1", "1000", "(16,6,5,3)", "(0,6,4,2)", "1", "6.5"], 10.3 / 13.7),
}


def fcc(cells: tuple[int, int, int], numbers: tuple[int, ...] = (29,)) -> Structure:
    """Face-centred cubic, a = 3.63 Å, displacements of 0.07 Å, elements at random."""
    rng = np.random.default_rng(7)
    corners = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2
    shifts = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).reshape(-1, 3)
    positions = 3.63 * (corners + shifts[:, None]).reshape(-1, 3)
    positions += rng.normal(scale=0.07, size=positions.shape)
    return Structure(rng.choice(numbers, len(positions)), positions, 3.63 * np.diag(cells), True)


def prepared(
    tables: Tables, structures: list[Structure], isa: str, threads: int = 1
) -> Callable[[], float]:
    """A call that returns µs per atom."""
    native = NativeEvaluator(tables, threads, isa)
    atoms = sum(map(len, structures))
    first = structures[0]
    bound = native.bind(species_of(tables, first), first.pbc)

    def call() -> float:
        begin = time.perf_counter()
        if len(structures) == 1:
            bound.compute(first.positions, first.cell)
        else:
            native.evaluate(structures)
        return 1e6 * (time.perf_counter() - begin) / atoms

    call()
    return call


def median(call: Callable[[], float], calls: int) -> float:
    return statistics.median(call() for _ in range(calls))


def compiled(source: Path, isa: str, into: Path, *options: str) -> Path:
    program = into / f"{source.stem}-{isa}"
    subprocess.run(
        ["g++", *FLAGS, *TARGETS[isa], *options, str(source), "-o", str(program)], check=True
    )
    return program


def prototype(
    options: argparse.Namespace, isa: str, cells: int, scratch: Path
) -> Callable[[], float]:
    """A call of the prototype that returns µs per atom, as `prepared`."""
    source = Path(__file__).parent / "prototype.cpp"
    program = compiled(source, isa, scratch, "-shared", "-fPIC", f"-I{options.prototype}")
    library = ctypes.CDLL(str(program))
    library.prototype_open.restype = ctypes.c_void_p
    library.prototype_call.restype = ctypes.c_double
    library.prototype_call.argtypes = [ctypes.c_void_p]
    handle = library.prototype_open(str(options.prototype / "model_Cu.txt").encode(), cells)
    return lambda: library.prototype_call(handle)


def in_turn(one: Callable[[], float], two: Callable[[], float], calls: int) -> tuple[float, ...]:
    """Medians of both and of the ratio of neighbouring calls; the lesser of all calls of each."""
    pairs = [(one(), two()) if k % 2 else (two(), one())[::-1] for k in range(calls)]
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = zip(*pairs, strict=True)
    return statistics.median(a), statistics.median(b), ratio, min(a), min(b)


def copper(options: argparse.Namespace, isa: str, scratch: Path) -> None:
    file = options.data / "pace_potentials" / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace"
    if not (file.exists() and (options.prototype / "bench.cpp").exists()):
        return print(f"copper, {isa}: skipped, no prototype or no potential")
    tables = lower(read_pace(file))
    best = 0.0
    for cells, calls in ((10, 5), (5, 12)):
        theirs = prototype(options, isa, cells, scratch)
        ours = prepared(tables, [fcc((cells, cells, cells))], isa)
        theirs()
        rounds = [in_turn(theirs, ours, calls) for _ in range(options.rounds)]
        unit, best, ratio = (statistics.median(r[k] for r in rounds) for k in range(3))
        least = [min(r[k] for r in rounds) for k in (3, 4)]
        ratios = " ".join(f"{r[2]:.2f}" for r in rounds)
        print(f"copper, {isa}, {4 * cells**3} atoms: prototype {unit:.2f}, acepot {best:.2f} "
              f"µs/atom, {ratio:.3f} times as fast ({ratios}); least times {least[0]:.2f}, "
              f"{least[1]:.2f}, {least[0] / least[1]:.3f}")  # fmt: skip
    speed = fma_peak(isa, scratch)
    bound = 6.8 * 5.4 / speed
    print(f"  {speed:.2f} FMAs of 8 doubles per ns: bound with shuffles and reductions "
          f"{bound:.1f} µs/atom, reached {bound / best:.0%}")  # fmt: skip
    synthetic(options, isa, scratch, theirs)


def fma_peak(isa: str, scratch: Path) -> float:
    """Fused multiply-adds of eight doubles per ns of one thread with this instruction set."""
    lanes = "-DLANES=8" if isa == "avx512" else "-DLANES=4"
    program = compiled(Path(__file__).parent / "fma_peak.cpp", isa, scratch, lanes)
    return float(subprocess.run([program], check=True, capture_output=True).stdout)


def synthetic(
    options: argparse.Namespace, isa: str, scratch: Path, copper: Callable[[], float]
) -> None:
    """The prototype reads copper only: in turn with its copper, times the recorded ratio."""
    for name, (arguments, recorded) in SYNTHETIC.items():
        file = scratch / f"{name}.yace"
        if not file.exists():
            command = [sys.executable, options.prototype / "gen_pot.py", file, *arguments]
            subprocess.run(command, check=True, capture_output=True)
        tables = lower(read_pace(file))
        call = prepared(tables, [fcc((5, 5, 5), tuple(tables.numbers.tolist()))], isa)
        rounds = [in_turn(copper, call, 5) for _ in range(options.rounds)]
        micro, ratio = (statistics.median(r[k] for r in rounds) for k in (1, 2))
        ratios = " ".join(f"{recorded * r[2]:.2f}" for r in rounds)
        print(f"{name}, {isa}: {micro:.2f} µs/atom, {recorded * ratio:.3f} times as fast as the "
              f"prototype's recorded ratio to its copper ({ratios})")  # fmt: skip


def models(options: argparse.Namespace) -> dict[str, Model]:
    file = options.data / "pace_potentials" / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace"
    return {"silicon": load(SILICON)} | ({"copper": read_pace(file)} if file.exists() else {})


def small(options: argparse.Namespace, isa: str) -> None:
    for name, model in models(options).items():
        tables, z = lower(model), model.numbers
        calls = {
            "4,000 atoms": prepared(tables, [fcc((10, 10, 10), z)], isa),
            "64 atoms": prepared(tables, [fcc((2, 2, 4), z)], isa),
            "100 cells of 8": prepared(tables, [fcc((1, 1, 2), z)] * 100, isa),
            "8 atoms": prepared(tables, [fcc((1, 1, 2), z)], isa),
        }
        rounds = [
            {n: median(c, 3 if n[0] == "4" else 15) for n, c in calls.items()}
            for _ in range(options.rounds)
        ]
        shares = (
            f"{n} {statistics.median(r[n] for r in rounds):.2f} "
            f"({statistics.median(r['4,000 atoms'] / r[n] for r in rounds):.0%})"
            for n in calls
        )
        print(f"{name}, {isa}, µs/atom (speed relative to 4,000 atoms): {', '.join(shares)}")


def committee(options: argparse.Namespace, isa: str) -> None:
    """Sixteen members: all their forces, their energies alone, forces of one weighted sum."""
    model, rng = load(SILICON), np.random.default_rng(1)
    size = model.coefficients.shape[2]
    members = model.coefficients[:1] * (1 + 0.01 * rng.normal(size=(17, 1, size)))
    native = NativeEvaluator(lower(Model(model.basis, members, model.e0)), 1, isa)
    structures = [fcc((10, 10, 10), (14,))]
    weights = [rng.normal(size=17)]
    calls = {
        "plain": lambda: native.evaluate(structures),
        "all members": lambda: native.evaluate(structures, committee=True),
        "energies of members": lambda: native.committee(structures),
        "sum of outputs": lambda: native.combination(structures, weights),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(1e6 * (time.perf_counter() - begin) / len(structures[0]))
    middle = {name: statistics.median(found) for name, found in times.items()}
    shares = (f"{n} {t:.2f} ({t / middle['plain']:.2f})" for n, t in middle.items())
    print(f"16 members, {isa}, µs/atom (relative to the model alone): {', '.join(shares)}")


def threads(options: argparse.Namespace, isa: str) -> None:
    """Two threads against two processes with one thread each, alternating."""
    tables = lower(load(SILICON))
    structure = fcc((10, 10, 10), (14,))
    both, one = (prepared(tables, [structure], isa, t) for t in (2, 1))
    ratios = []
    for _ in range(options.rounds):
        begin = time.perf_counter()
        for _ in range(10):
            both()
        shared = time.perf_counter() - begin
        begin = time.perf_counter()
        if (child := os.fork()) == 0:
            for _ in range(5):
                one()
            os._exit(0)
        for _ in range(5):
            one()
        os.waitpid(child, 0)
        ratios.append((time.perf_counter() - begin) / shared)
    print(f"two threads, {isa}: {statistics.median(ratios):.3f} of two processes together "
          f"({min(ratios):.3f} to {max(ratios):.3f})")  # fmt: skip


def large(options: argparse.Namespace, isa: str) -> None:
    """Each size in a process of its own, for the peak of its memory."""
    for cells in (10, 29, 63):
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            tables = lower(load(SILICON))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            call = prepared(tables, [fcc((cells, cells, cells), (14,))], isa)
            micro = median(call, 3)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            text = f"{micro:.2f} µs/atom, {peak / 1024:.0f} MB ({before / 1024:.0f} before)"
            os.write(write, text.encode())
            os._exit(0)
        os.waitpid(child, 0)
        print(f"{4 * cells**3:,} atoms, {isa}: {os.read(read, 1000).decode()}")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ["copper", "small", "committee", "threads", "large"]
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--parts", nargs="+", choices=parts, default=parts)
    options.add_argument("--data", type=Path, default=SHARED / "data")
    options.add_argument("--prototype", type=Path, default=SHARED / "prototype" / "kernel")
    chosen = options.parse_args()
    sets = [isa for isa in ("avx512", "avx2") if isa in instruction_sets()]
    with tempfile.TemporaryDirectory() as folder:
        for isa in sets:
            if "copper" in chosen.parts:
                copper(chosen, isa, Path(folder))
            if "small" in chosen.parts:
                small(chosen, isa)
            if "committee" in chosen.parts:
                committee(chosen, isa)
            if "threads" in chosen.parts:
                threads(chosen, isa)
        if "large" in chosen.parts:
            large(chosen, sets[0])


if __name__ == "__main__":
    main()
