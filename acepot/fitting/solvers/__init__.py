"""From the compressed rows to coefficients: one class a file. A new file is imported here.

The prior γ and the damping are applied here, once, and nowhere else; the weights are already in
the rows. No solver forms normal equations.
"""

from acepot.fitting.solvers.base import Solver, State, solve
from acepot.fitting.solvers.blr import BLR
from acepot.fitting.solvers.qr import QR

__all__ = ["BLR", "QR", "Solver", "State", "solve"]
