"""Expansions kept on disk between runs, under the user's cache folder.

Building a basis costs seconds at high order; reading one back costs milliseconds. The key
holds the whole specification and the version of the rules that number its functions. The
folder is ACEPOT_CACHE, else XDG_CACHE_HOME/acepot, else ~/.cache/acepot; deleting it is safe.
Only what this user wrote is read (`seal`), and only if it fits the specification: anything else
costs the time to build the basis, never another energy.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acepot.basis.choices import BasisChoices, Pair
from acepot.basis.expansion import Expansion, Labels, expand
from acepot.basis.irrep import Irrep
from acepot.basis.seal import opened, sealed
from acepot.errors import InputError
from acepot.ownership import make_own
from acepot.schema import to_mapping

_LOG = logging.getLogger(__name__)

#: Raised whenever `expand` numbers, orders or normalises anything differently.
RULES = 1
#: Of the files in the cache alone; part of their key.
_FORM = "sealed"


def cache_folder() -> Path:
    """Where expansions are kept.

    Raises:
        InputError: no folder is named, and the user has none.
    """
    if folder := os.environ.get("ACEPOT_CACHE"):
        return Path(folder)
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "acepot"
    except RuntimeError as error:
        raise InputError(
            "this user has no home folder for files that are kept; name a folder in ACEPOT_CACHE"
        ) from error


def cached_expansion(
    spec: BasisChoices, progress: Callable[[int, int], None] | None = None
) -> Expansion:
    """The expansion of a resolved specification, from the cache or built and stored.

    Args:
        spec: a resolved specification.
        progress: passed to `expand` when the basis has to be built.
    """
    text = json.dumps([RULES, _FORM, to_mapping(_counting_part(spec))], sort_keys=True)
    try:
        folder = cache_folder()
    except InputError:
        return expand(spec, progress)  # nothing can be kept
    try:
        make_own(folder)
    except InputError as error:
        _LOG.warning("%s; the basis is built without it", error)
        return expand(spec, progress)
    except OSError:
        pass  # reading may do
    path = folder / f"expansion-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    try:
        kept = _read(path)
        if _fits(kept, spec):
            return kept
    except Exception:  # whatever is in its place: build it anew
        pass
    built = expand(spec, progress)
    try:
        _write(path, built)
    except OSError:
        pass  # a read-only or full home folder costs time, not results
    return built


def _counting_part(spec: BasisChoices) -> BasisChoices:
    """The specification without the distances, which change no product."""
    pair = Pair(degree=spec.pair.degree)
    return replace(spec, cutoff=None, inner=None, r0=None, pair=pair)


def _fits(kept: Expansion, spec: BasisChoices) -> bool:
    """Whether an expansion can be that of a specification: nothing in it may lead astray."""
    species, blocks = len(spec.elements), len(kept.block_l)
    whole = (kept.block_species, kept.block_channel, kept.block_l, *kept.terms)
    if (
        kept.irreps != spec.symmetries
        or len(kept.sizes) != len(kept.irreps)
        or sum(kept.sizes) != kept.size
        or not len(kept.terms) == len(kept.real) == len(kept.imaginary) == species
        or not len(kept.block_species) == len(kept.block_channel) == blocks
        or not all(a.dtype.kind == "i" for a in whole)
        or not all(type(n) is int and n != 0 for channel in kept.channels for n in channel)
        or not all(channel for channel in kept.channels)
    ):
        return False
    limits = (species, len(kept.channels), 121)
    for array, limit in zip(whole, limits, strict=False):
        if array.ndim != 1 or not ((array >= 0) & (array < limit)).all():
            return False
    for terms, real, imaginary in zip(kept.terms, kept.real, kept.imaginary, strict=True):
        if terms.ndim != 2 or not ((terms >= 0) & (terms <= kept.offset[-1])).all():
            return False
        for matrix in (real, imaginary):
            matrix.check_format(full_check=True)
            if matrix.data.dtype != float or not np.isfinite(matrix.data).all():
                return False
    return True


def _write(path: Path, built: Expansion) -> None:
    arrays: dict[str, Any] = {
        "channels": np.array(json.dumps(built.channels)),
        "irreps": np.array(built.irreps, dtype=np.int64).reshape(-1, 2),
        "sizes": np.array(built.sizes, dtype=np.int64),
        "block_species": built.block_species,
        "block_channel": built.block_channel,
        "block_l": built.block_l,
    }
    for name in (f.name for f in fields(Labels)):
        arrays[f"label_{name}"] = getattr(built.labels, name)
    for s, terms in enumerate(built.terms):
        arrays[f"terms_{s}"] = terms
        for part, matrix in (("real", built.real[s]), ("imaginary", built.imaginary[s])):
            arrays[f"{part}_{s}_data"] = matrix.data
            arrays[f"{part}_{s}_indices"] = matrix.indices
            arrays[f"{part}_{s}_indptr"] = matrix.indptr
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        content = io.BytesIO()
        np.savez(content, **arrays)
        with os.fdopen(handle, "wb") as file:
            file.write(sealed(content.getvalue(), path.name, path.parent))
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path) -> Expansion:
    with np.load(io.BytesIO(opened(path)), allow_pickle=False) as arrays:
        labels = Labels(**{f.name: arrays[f"label_{f.name}"] for f in fields(Labels)})
        irreps = tuple(Irrep(int(l), int(p)) for l, p in arrays["irreps"])  # noqa: E741
        sizes = tuple(int(n) for n in arrays["sizes"])
        rows = sum(n * irrep.dim for n, irrep in zip(sizes, irreps, strict=True))
        terms: list[NDArray[np.int64]] = []
        parts: dict[str, list[csr_array]] = {"real": [], "imaginary": []}
        while f"terms_{len(terms)}" in arrays:
            s = len(terms)
            terms.append(arrays[f"terms_{s}"])
            for part, matrices in parts.items():
                data = tuple(arrays[f"{part}_{s}_{k}"] for k in ("data", "indices", "indptr"))
                matrices.append(csr_array(data, shape=(rows, len(terms[-1]))))
        channels = json.loads(str(arrays["channels"]))
        return Expansion(
            tuple(tuple(c) for c in channels),
            arrays["block_species"],
            arrays["block_channel"],
            arrays["block_l"],
            tuple(terms),
            tuple(parts["real"]),
            tuple(parts["imaginary"]),
            labels,
            irreps,
            sizes,
        )
