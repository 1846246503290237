"""Files of every kind and version give the numbers they gave when they were written."""

from __future__ import annotations

import json
import zipfile

import kinds
import numpy as np
import pytest

from acepot.io.modelfile.kinds import VERSION

FILES = sorted(kinds.HERE.glob("*.acepot"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_model_of_another_kind_gives_its_numbers(path):
    with np.load(kinds.HERE / kinds.NUMBERS) as file:
        known = file[path.stem]
    found = kinds.numbers_of(path)
    assert found.shape == known.shape and np.abs(known).max() > 0
    assert np.abs(found - known).max() <= 1e-10 * np.abs(known).max()


def test_every_version_of_the_file_is_kept():
    models = sorted((kinds.HERE.parent / "models").glob("*.acepot"))
    seen = set()
    for path in (*FILES, *models):
        with zipfile.ZipFile(path) as archive:
            seen.add(json.loads(archive.read("header.json"))["version"])
    assert seen == set(range(1, VERSION + 1))
