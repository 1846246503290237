"""Potentials of PACE (pacemaker, ML-PACE): `.yace` read and written, `.ace` and `.yaml` read."""

from acepot.io.pace.read import read_pace, read_projections
from acepot.io.pace.write import YaceReport, write_yace

__all__ = ["YaceReport", "read_pace", "read_projections", "write_yace"]
