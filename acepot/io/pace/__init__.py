"""Potentials of PACE (pacemaker, ML-PACE): `.yace` read and written, `.ace` read."""

from acepot.io.pace.read import read_ace, read_yace

__all__ = ["read_ace", "read_yace"]
