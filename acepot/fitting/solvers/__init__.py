"""From the compressed rows to coefficients: one class a file. A new file is imported here.

The prior γ and the damping are applied here, once, and nowhere else; the weights are already in
the rows. No solver forms normal equations of the rows.
"""

from acepot.fitting.solvers.ard import ARD
from acepot.fitting.solvers.base import Scaled, Solver, State, solve
from acepot.fitting.solvers.blr import BLR
from acepot.fitting.solvers.lasso import ElasticNet, Lasso
from acepot.fitting.solvers.lsqr import LSQR
from acepot.fitting.solvers.omp import OMP
from acepot.fitting.solvers.qr import QR
from acepot.fitting.solvers.ridge import Ridge
from acepot.fitting.solvers.rrqr import RRQR
from acepot.fitting.solvers.scikit_learn import ScikitLearn
from acepot.fitting.solvers.svd import TruncatedSVD

__all__ = [
    "ARD",
    "BLR",
    "LSQR",
    "OMP",
    "QR",
    "RRQR",
    "ElasticNet",
    "Lasso",
    "Ridge",
    "Scaled",
    "ScikitLearn",
    "Solver",
    "State",
    "TruncatedSVD",
    "solve",
]
