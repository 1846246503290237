"""Settings that no sane file holds are refused at once, in one of our errors, or fitted."""

from __future__ import annotations

from pathlib import Path

import pytest
import settings

#: What once hung, warned or was no error of ours; and what the message says.
FOUND = {
    ("basis.max_l", 10**9): "max_l: expected numbers up to 40",
    ("basis.pair.radial.envelope.outer", 200): "outer: expected 1 to 12",
    ("basis.pair.radial.envelope.outer", 127): "outer: expected 1 to 12",
    ("restraint.distance", 1e-300): "restraint.distance: expected 0.0001 or more",
    ("restraint.distance", 5e-324): "restraint.distance: expected 0.0001 or more",
    ("prior.wn", 1e50): "lower wn and wl",
    ("e0.Cu", 1e300): "e0.Cu: expected",
    ("e0.Cu", -1e300): "e0.Cu: expected",
    ("data.train", "a\0b.xyz"): "data.train: expected text without NUL characters",
}
PLACES = [".".join(place) for place in settings.numbers(settings.base())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings.write_data(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("place", "value"), FOUND)
def test_what_was_found_is_refused(place: str, value: object, folder: Path) -> None:
    said = settings.outcome(settings.changed(tuple(place.split(".")), value), folder, 60.0)
    assert said.startswith("refused: ") and FOUND[place, value] in said, said


def test_the_file_that_is_changed_is_fitted(folder: Path) -> None:
    assert settings.outcome(settings.to_toml(settings.base()), folder, 120.0) == "fitted"
    assert {"basis.degree", "solver.floor", "basis.pair.cutoff", "committee.size"} <= set(PLACES)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_every_number_is_fitted_or_refused(place: str, folder: Path) -> None:
    for value in settings.VALUES:
        said = settings.outcome(settings.changed(tuple(place.split(".")), value), folder, 120.0)
        assert settings.is_sound(said), f"{place} = {value!r}: {said}"


def test_values_of_every_type_at_every_documented_key():
    """Ten thousand of them: python tests/fuzz/keys.py."""
    from keys import campaign

    ends, slowest, failed = campaign(400, seed=5)
    assert failed == []
    assert ends["refused"] > 200 and ends["read"] > 20
    assert slowest < 20.0


def test_servers_that_say_anything():
    """Ten thousand sessions: python tests/fuzz/servers.py."""
    pytest.importorskip("ipi")
    from servers import campaign

    ends, slowest, failed = campaign(200, seed=5, patience=20.0)
    assert failed == []
    assert ends["ended"] > 5 and ends["refused: ProtocolError"] > 20
    assert slowest < 20.0
