"""Potentials of PACE (pacemaker, ML-PACE): `.yace` read and written, `.ace` read."""

from acepot.io.pace.read import read_pace
from acepot.io.pace.write import YaceReport, write_yace

__all__ = ["YaceReport", "read_pace", "write_yace"]
