"""Posteriors in files: beside a model file, in the same safe container.

A factor has up to K² numbers (8 MB for 1,000 functions), which no engine needs: it is in a file of
its own, which says by a digest of the coefficients which model it belongs to.
"""

from __future__ import annotations

from pathlib import Path

from acepot.basis.cache import RULES
from acepot.errors import ModelFileError
from acepot.io.files import content, replaced
from acepot.io.modelfile.container import Header, pack, unpack, untrusted
from acepot.model import Model
from acepot.uncertainty.posterior import Posterior, model_digest

__all__ = ["load_posterior", "posterior_bytes", "save_posterior"]

#: Name of the kind in the header, and the version that this code writes and reads up to.
_KIND, _VERSION = "posterior", 1
_UNITS = {"length": "angstrom", "energy": "eV"}
#: Largest file: the factor of 10,000 functions and as much again for a header.
_BYTES, _RATIO = 2**30, 100


def save_posterior(posterior: Posterior, path: str | Path) -> None:
    """Write a posterior; an older file stays until the new one is complete.

    Args:
        posterior: what to save; its model is not.
        path: usually `posterior.acepot` beside the model file.

    Raises:
        InputError: the file cannot be written.
    """
    with replaced(path, "wb") as file:
        file.write(posterior_bytes(posterior))


def posterior_bytes(posterior: Posterior) -> bytes:
    """The bytes of a posterior's file; equal posteriors give equal bytes."""
    header: Header = {
        "kind": _KIND,
        "version": _VERSION,
        "rules": RULES,
        "units": _UNITS,
        "model": model_digest(posterior.model),
        "noise": posterior.noise,
    }
    return pack(header, {"factor": posterior.factor})


def load_posterior(path: str | Path, model: Model) -> Posterior:
    """Read a posterior, trusting nothing in its file.

    Args:
        path: the file, plain or compressed.
        model: the model that it must be of.

    Raises:
        InputError: the file cannot be opened.
        ModelFileError: no posterior, damaged, from a newer version, or of another model.
    """
    name = str(path)
    header, arrays = unpack(content(path, _BYTES, _RATIO), name, lambda h: _arrays(h, name))
    if header.get("model") != model_digest(model):
        raise ModelFileError(f"{name}: the posterior of another model; fit and save both together")
    noise = header.get("noise")
    if "factor" not in arrays or not isinstance(noise, (int, float)):
        raise ModelFileError(f"{name}: the factor or the noise is missing")
    with untrusted(name):
        return Posterior(model, arrays["factor"], noise)


def _arrays(header: Header, name: str) -> tuple[str, ...]:
    """The names of the arrays there may be, if this is a file that can be read."""
    if header.get("kind") != _KIND:
        raise ModelFileError(
            f"{name}: expected a posterior, got {header.get('kind', 'an energy model')}"
        )
    version, rules = header.get("version"), header.get("rules")
    if type(version) is not int or type(rules) is not int or version < 1 or rules < 1:
        raise ModelFileError(f"{name}: the header has no version")
    if version > _VERSION or rules > RULES:
        raise ModelFileError(
            f"{name}: written by a newer acepot (posterior version {version}.{rules}, this one "
            f"reads up to {_VERSION}.{RULES}); upgrade with: pip install --upgrade acepot"
        )
    if header.get("units") != _UNITS:
        raise ModelFileError(f"{name}: expected the units {_UNITS}, got {header.get('units')}")
    return ("factor",)
