"""acepot potentials in every program that speaks the KIM API: a model driver, and its models."""

from __future__ import annotations

from kim_ace.driver import DRIVER, build
from kim_ace.item import export_kim

__all__ = ["DRIVER", "build", "export_kim"]
