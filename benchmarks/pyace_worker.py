"""Times python-ace's recursive evaluator for benchmarks/precision.py, in an interpreter of its own.

    python pyace_worker.py POTENTIAL.ace CELLS

For each line it reads it writes microseconds of CPU time per atom of one call: of its neighbour
list and its C++ together, and of its C++ alone.
"""

import sys
import time

import numpy as np
from ase import Atoms
from pyace import PyACECalculator


def main() -> None:
    cells = int(sys.argv[2])
    rng = np.random.default_rng(7)
    corners = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2
    shifts = np.array(list(np.ndindex(cells, cells, cells)))[:, None]
    positions = 3.63 * (corners + shifts).reshape(-1, 3)
    positions += rng.normal(scale=0.07, size=positions.shape)
    atoms = Atoms(f"Cu{len(positions)}", positions, cell=3.63 * cells * np.eye(3), pbc=True)
    calculator = PyACECalculator(sys.argv[1], recursive_evaluator=True, recursive=True)
    for _ in sys.stdin:
        begin = time.thread_time()
        surroundings = calculator.get_atomic_env(atoms)
        listed = time.thread_time()
        calculator.ace.compute(surroundings, compute_projections=False)
        end = time.thread_time()
        unit = 1e6 / len(atoms)
        print(unit * (end - begin), unit * (end - listed), flush=True)


main()
