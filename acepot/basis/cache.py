"""Expansions kept on disk between runs, under the user's cache folder.

Building a basis costs seconds at high order; reading one back costs milliseconds. The key
holds the whole specification and the version of the rules that number its functions. The
folder is ACEPOT_CACHE, else XDG_CACHE_HOME/acepot, else ~/.cache/acepot; deleting it is safe.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import tempfile
import zipfile
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
from acepot.errors import InputError
from acepot.ownership import make_own
from acepot.schema import to_mapping

_LOG = logging.getLogger(__name__)

#: Raised whenever `expand` numbers, orders or normalises anything differently.
RULES = 1


def cache_folder() -> Path:
    """Where expansions are kept."""
    if folder := os.environ.get("ACEPOT_CACHE"):
        return Path(folder)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "acepot"


def cached_expansion(
    spec: BasisChoices, progress: Callable[[int, int], None] | None = None
) -> Expansion:
    """The expansion of a resolved specification, from the cache or built and stored.

    Args:
        spec: a resolved specification.
        progress: passed to `expand` when the basis has to be built.
    """
    text = json.dumps([RULES, to_mapping(_counting_part(spec))], sort_keys=True)
    try:
        make_own(cache_folder())
    except InputError as error:
        _LOG.warning("%s; the basis is built without it", error)
        return expand(spec, progress)
    except OSError:
        pass  # reading may do
    path = cache_folder() / f"expansion-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    try:
        return _read(path)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        pass  # absent or damaged: build it anew
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
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        content = io.BytesIO()
        np.savez(content, **arrays)
        data = content.getvalue()
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path) -> Expansion:
    raw = path.read_bytes()
    if hashlib.sha256(raw[32:]).digest() != raw[:32]:
        raise ValueError(f"{path}: damaged")
    with np.load(io.BytesIO(raw[32:]), allow_pickle=False) as arrays:
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
