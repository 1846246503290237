"""acepot-ipi against servers that are written here byte by byte; i-PI itself is in test_ipi_runs.

The server's side is packed with `struct` from the protocol's description, not with the library.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Potential, Result, Structure
from acepot.errors import AceError, InputError, ModelFileError
from acepot.evaluate.protocol import CommitteeResult
from acepot.units import IPI
from ipi_driver import command
from ipi_driver.client import connect, serve
from ipi_driver.forcefield import ForceField, open_forcefield
from ipi_driver.numerals import as_json
from ipi_driver.protocol import MAX_BATCH, MAX_TEXT, Channel, ProtocolError, ServerLost
from ipi_driver.template import Template, read_template

MODEL = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"
#: i-PI's own numbers: Bohr in an ångström, Hartree in an electronvolt.
ANGSTROM, EV = 1.8897261, 0.036749326
#: Seconds after which a test that hangs fails.
HANG = 60.0

# ------------------------------------------------------------------ structures


def triclinic() -> Structure:
    """Five atoms nowhere special, some outside of the cell."""
    cell = np.array([[6.1, 0.0, 0.0], [1.3, 5.7, 0.0], [-0.9, 1.1, 6.4]])
    fractions = np.random.default_rng(5).uniform(-0.06, 0.06, (5, 3))
    fractions += [[0, 0, 0], [0.5, 0.1, 1.3], [0.1, -0.5, 0.6], [1.5, 0.5, 0.9], [0.9, 0.4, 0.5]]
    return Structure(np.full(5, 14), fractions @ cell, cell, True)


def slab() -> Structure:
    """As above, open along c."""
    whole = triclinic()
    cell = whole.cell.copy()
    cell[2] = [-0.9, 1.1, 19.0]
    return Structure(whole.numbers, whole.positions, cell, [True, True, False])


def small() -> Structure:
    """Two atoms in a cell much smaller than the cut-off."""
    cell = np.array([[3.8, 0.0, 0.0], [1.8, 3.4, 0.0], [2.0, 1.0, 3.2]])
    return Structure([14, 14], [[0.02, -0.05, 0.1], [1.87, 1.15, 0.85]], cell, True)


STRUCTURES = {"triclinic": triclinic, "slab": slab, "small cell": small}


@cache
def potential() -> Potential:
    return Potential(acepot.load(MODEL), threads=1)


def template(structure: Structure) -> Template:
    return Template(structure, ("Si",) * len(structure), tuple(structure.pbc.tolist()))


def forcefield(structure: Structure, **options: bool) -> ForceField:
    return ForceField(potential(), template(structure), **options)


def write_extxyz(path: Path, structure: Structure) -> Path:
    """A file that both acepot and i-PI's own reader understand."""
    cell = " ".join(repr(float(x)) for x in structure.cell.ravel())
    columns = " ".join(repr(float(x)) for x in structure.cell.T.ravel())
    flags = " ".join("T" if flag else "F" for flag in structure.pbc)
    lines = [
        str(len(structure)),
        f'Lattice="{cell}" Properties=species:S:1:pos:R:3 pbc="{flags}" '
        f'ipi="CELL(H): {columns} cell{{angstrom}} positions{{angstrom}}"',
        *("Si " + " ".join(repr(float(x)) for x in place) for place in structure.positions),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


class Null:
    """Zero energy and forces, to test what is around an evaluator."""

    def compute_all(
        self, structures: Sequence[Structure], *, committee: bool = False
    ) -> list[Result]:
        return [Result(np.zeros(len(s)), np.zeros((len(s), 3)), np.zeros((len(s), 3, 3)))
                for s in structures]  # fmt: skip


# ------------------------------------------------------------------ the server's side


def init(text: str = " ", bead: int = 0) -> bytes:
    return b"INIT        " + struct.pack("=ii", bead, len(text)) + text.encode()


def posdata(structures: Sequence[Structure]) -> bytes:
    """POSDATA of one structure, or of several in the batched layout."""
    boxes = []
    for one in structures:
        h = one.cell.T * ANGSTROM
        boxes.append(h.tobytes() + np.linalg.inv(h).tobytes())
    count = struct.pack("=i", len(structures[0]))
    places = b"".join((s.positions * ANGSTROM).tobytes() for s in structures)
    order = [count, *boxes] if len(structures) > 1 else [*boxes, count]
    return b"POSDATA     " + b"".join(order) + places


@dataclass
class Server:
    """A server's end of a connection."""

    end: socket.socket

    def send(self, data: bytes) -> None:
        self.end.sendall(data)

    def take(self, count: int) -> bytes:
        out = b""
        while len(out) < count:
            part = self.end.recv(count - len(out))
            assert part, "the client closed the connection"
            out += part
        return out

    def status(self) -> str:
        self.send(b"STATUS      ")
        return self.take(12).decode().strip()

    def forces(self, atoms: int, batch: int = 1) -> list[tuple[float, np.ndarray, np.ndarray, str]]:
        """What follows GETFORCE."""
        assert self.take(12) == b"FORCEREADY  "
        energies = np.frombuffer(self.take(8 * batch))
        assert struct.unpack("=i", self.take(4)) == (atoms,)
        forces = np.frombuffer(self.take(24 * atoms * batch)).reshape(batch, atoms, 3)
        virials = np.frombuffer(self.take(72 * batch)).reshape(batch, 3, 3)
        texts = [self.take(*struct.unpack("=i", self.take(4))).decode() for _ in range(batch)]
        return list(zip(energies.tolist(), forces, virials, texts, strict=True))


@contextmanager
def session(field: ForceField, timeout: float = 20.0) -> Iterator[tuple[Server, Future[int]]]:
    """A client in a thread, and the server's end of its connection."""
    ours, theirs = socket.socketpair()
    ours.settimeout(HANG)

    def run() -> int:
        with Channel(theirs, timeout) as channel:
            return serve(channel, field)

    with ours, ThreadPoolExecutor(1) as pool:
        yield Server(ours), pool.submit(run)


def assert_equal(
    answer: tuple[float, np.ndarray, np.ndarray, str], structure: Structure, what: str
) -> None:
    """An answer in atomic units is the core's result of a structure in Å."""
    expected = potential().compute(structure)
    energy, forces, virial, _ = answer
    assert energy / EV == pytest.approx(expected.energy, rel=1e-10), what
    np.testing.assert_allclose(
        forces / EV * ANGSTROM, expected.forces, rtol=0, atol=1e-9, err_msg=what
    )
    # i-PI's virial is -dE/dh hᵀ, whose rows are acepot's columns.
    scale = np.abs(expected.virial).max()
    np.testing.assert_allclose(
        virial / EV, expected.virial.T, rtol=0, atol=1e-9 * scale, err_msg=what
    )


# ------------------------------------------------------------------ units


def test_units_are_those_of_ipi() -> None:
    units = pytest.importorskip("ipi.utils.units")
    assert units.unit_to_internal("length", "angstrom", 1.0) == ANGSTROM == 1 / IPI.length
    assert units.unit_to_internal("energy", "electronvolt", 1.0) == EV == 1 / IPI.energy


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_structure_through_a_socket_is_the_core(name: str) -> None:
    structure = STRUCTURES[name]()
    with session(forcefield(structure)) as (server, done):
        assert server.status() == "NEEDINIT"
        server.send(init())
        assert server.status() == "READY"
        server.send(posdata([structure]))
        assert server.status() == "HAVEDATA"
        server.send(b"GETFORCE    ")
        (answer,) = server.forces(len(structure))
        assert server.status() == "READY"
        server.send(b"EXIT        ")
        assert done.result(HANG) == 1
    assert_equal(answer, structure, name)
    assert answer[3] == ""


def test_a_batch_in_one_message_is_the_core_and_equals_single_structures() -> None:
    first = triclinic()
    moved = Structure(first.numbers, first.positions[::-1] * 1.01, first.cell * 1.02, True)
    structures = [first, moved, first]
    with session(forcefield(first)) as (server, done):
        server.send(init(" a : b ,  batch_size:3"))
        server.send(posdata(structures) + b"GETFORCE    ")
        batch = server.forces(5, 3)
        server.send(init(" a : b , "))  # initialised again, without a batch
        for answer, structure in zip(batch, structures, strict=True):
            server.send(posdata([structure]) + b"GETFORCE    ")
            (single,) = server.forces(5)
            assert answer[0] == single[0]
            np.testing.assert_array_equal(answer[1], single[1])
            np.testing.assert_array_equal(answer[2], single[2])
            assert_equal(answer, structure, "batch")
        server.send(b"EXIT        ")
        assert done.result(HANG) == 6


def test_forces_and_virial_are_derivatives_of_the_energy_in_atomic_units() -> None:
    structure = triclinic()
    field = forcefield(structure)
    h, places = structure.cell.T * ANGSTROM, structure.positions * ANGSTROM
    answer = field.compute([h], [places])[0]
    step = 1e-4
    rng = np.random.default_rng(3)
    move = rng.normal(size=places.shape)
    up, down = field.compute([h, h], [places + step * move, places - step * move])
    slope = (up.energy - down.energy) / (2 * step)
    assert slope == pytest.approx(-np.vdot(answer.forces, move), rel=1e-6)
    strain = rng.normal(size=(3, 3))
    grown, shrunk = (np.eye(3) + sign * step * strain for sign in (1, -1))
    up, down = field.compute([grown @ h, shrunk @ h], [places @ grown.T, places @ shrunk.T])
    slope = (up.energy - down.energy) / (2 * step)
    # Positive where atoms repel: virial[a, b] = -dE/dε[a, b] with r -> (1 + ε) r.
    assert slope == pytest.approx(-np.vdot(answer.virial, strain), rel=1e-6)


def test_extras_hold_energies_and_the_committee_as_ffcommittee_wants_them() -> None:
    structure = triclinic()
    field = forcefield(structure, energies=True, committee=True)
    answer = field.compute([structure.cell.T * ANGSTROM], [structure.positions * ANGSTROM])[0]
    extras = json.loads(answer.extras)
    assert sorted(extras) == ["committee_force", "committee_pot", "committee_virial", "energies"]
    expected = potential().compute(structure, committee=True)
    members = expected.committee
    assert members is not None and len(members.energies) == 16
    for key, value, shape in (
        ("energies", expected.energies * EV, (5,)),
        ("committee_pot", members.energies * EV, (16,)),
        ("committee_force", members.forces.reshape(16, 15) * EV / ANGSTROM, (16, 15)),
        ("committee_virial", members.virials.swapaxes(1, 2).reshape(16, 9) * EV, (16, 9)),
    ):
        assert np.shape(extras[key]) == shape
        np.testing.assert_allclose(extras[key], value, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("scale", [0.0, 1e-305, 3e-7, 1.0, 10.0, 1e17, 1e308])
def test_numbers_in_the_extras_are_those_that_json_reads(scale: float) -> None:
    parts = [[-1.0, 0.0, 1.0, 1e-9], [np.nextafter(1, 0), -1e-17, 0.3, -np.nextafter(1, 0)]]
    values = scale * np.array([parts, [[0.0, -0.0, 0.0, 0.0], [-0.1, 0.5, 1 / 3, 2e-16]]])
    found = json.loads(as_json(values))
    least = 1e-290  # nearer to zero is zero
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-15 * scale + least)
    assert {type(value) for value in np.ravel(found).tolist()} == {float}


@pytest.mark.parametrize("seed", range(3))
def test_numbers_in_the_extras_keep_fifteen_digits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=500) * 10 ** rng.uniform(-3, 0, 500) * 10.0 ** rng.integers(-99, 99)
    error = np.abs(np.array(json.loads(as_json(values))) - values).max()
    assert error <= 1e-15 * np.abs(values).max()


def test_a_committee_that_is_not_finite_is_refused() -> None:
    class Broken(Null):
        def compute_all(self, structures, *, committee=False):  # type: ignore[no-untyped-def]
            (result,) = super().compute_all(structures)
            members = CommitteeResult(np.zeros(2), np.zeros((2, 5, 3)), np.full((2, 3, 3), np.nan))
            return [replace(result, committee=members)]

    structure = triclinic()
    field = ForceField(Broken(), template(structure), committee=True)
    with pytest.raises(InputError, match="committee that are not finite"):
        field.compute([structure.cell.T * ANGSTROM], [structure.positions * ANGSTROM])


# ------------------------------------------------------------------ bytes


def test_messages_may_arrive_byte_by_byte() -> None:
    structure = small()
    stream = b"STATUS      " + init(" x : y , ") + posdata([structure]) + b"GETFORCE    "
    with session(forcefield(structure)) as (server, done):
        for i in range(len(stream)):
            server.send(stream[i : i + 1])
        assert server.take(12) == b"NEEDINIT    "
        assert_equal(server.forces(2)[0], structure, "byte by byte")
        server.send(b"EXIT        ")
        assert done.result(HANG) == 1


def _fails(stream: bytes, error: type[AceError], match: str, timeout: float = 20.0) -> None:
    """A server that sends this and then stops sending."""
    with session(ForceField(Null(), template(triclinic())), timeout) as (server, done):
        server.send(stream)
        server.end.shutdown(socket.SHUT_WR)
        with pytest.raises(error, match=match):
            done.result(HANG)


def test_wrong_numbers_of_atoms_are_refused_before_anything_is_allocated() -> None:
    good = posdata([triclinic()])
    at = 12 + 144
    for count in (4, 6, 0, -1, 2**31 - 1, -(2**31)):
        stream = good[:at] + struct.pack("=i", count) + good[at + 4 :]
        _fails(init() + stream, InputError, f"i-PI sends {count} atoms, the template .* has 5")
        batched = b"POSDATA     " + struct.pack("=i", count)
        _fails(init("batch_size:4") + batched, InputError, f"i-PI sends {count} atoms")


def test_init_is_compared_with_the_template() -> None:
    _fails(init(" atoms : 6 , "), InputError, "says atoms '6', the template .* has '5'")
    _fails(init(" elements : Si4O , "), InputError, "says elements 'Si4O', .* has 'Si5'")
    with session(ForceField(Null(), template(triclinic()))) as (server, done):
        server.send(init(" elements : Si5 , atoms : 5 , verbosity : x , "))
        assert server.status() == "READY"
        server.send(b"EXIT        ")
        assert done.result(HANG) == 0


@pytest.mark.parametrize("length", [-1, MAX_TEXT + 1, 2**31 - 1, -(2**31)])
def test_a_text_of_impossible_length_is_refused(length: int) -> None:
    stream = b"INIT        " + struct.pack("=ii", 0, length)
    _fails(stream, ProtocolError, f"expected a text of 0 to {MAX_TEXT} bytes, got {length}")


@pytest.mark.parametrize("batch", ["0", "-3", "many", "", "1e3", str(MAX_BATCH + 1), "9" * 30])
def test_an_impossible_batch_is_refused(batch: str) -> None:
    _fails(init(f"batch_size:{batch}"), ProtocolError, "INIT: expected a .*batch_size")


def test_messages_out_of_order_or_unknown_are_refused() -> None:
    _fails(posdata([triclinic()]), ProtocolError, "expected INIT first, got POSDATA")
    _fails(init() + b"GETFORCE    ", ProtocolError, "expected POSDATA first, got GETFORCE")
    _fails(b"HTTP/1.1 400 Bad", ProtocolError, "is this the port of an i-PI server")
    _fails(b"INIT        " + struct.pack("=ii", 0, 1) + b"\xff", ProtocolError, "UTF-8")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    structure = triclinic()
    data = bytearray(init() + posdata([structure]))
    data[-8:] = struct.pack("=d", bad)
    _fails(bytes(data), InputError, r"positions at index \(4, 2\) is (nan|inf)")
    data = bytearray(init() + posdata([structure]))
    data[len(init()) + 12 : len(init()) + 20] = struct.pack("=d", bad)
    _fails(bytes(data), InputError, r"cell at index \(0, 0\) is (nan|inf)")


def test_a_collapsed_cell_is_refused_before_its_neighbours_fill_the_memory() -> None:
    structure = triclinic()
    places = structure.positions * ANGSTROM
    field = forcefield(structure)
    thin, dense, sheared = (structure.cell.T * ANGSTROM for _ in range(3))
    thin[2, 2] *= 1e-5
    sheared[0, 1] = 1e7  # of the same volume: a lattice as any other
    dense *= 0.1
    assert np.isfinite(field.compute([sheared], [places])[0].energy)
    for cell in (thin, dense):
        with pytest.raises(InputError, match=r"has the cell collapsed|A apart; this model"):
            field.compute([cell], [places])


def test_a_very_skewed_cell_is_the_lattice_it_is() -> None:
    """Its planes are 0.2 Å apart, as a run that shears its cell may make them."""
    structure = triclinic()
    skewed = np.array([[1, 20, 400], [0, 1, 20], [0, 0, 1]]) @ structure.cell
    field, places = forcefield(structure), structure.positions * ANGSTROM
    plain, same = (
        field.compute([cell.T * ANGSTROM], [places])[0] for cell in (structure.cell, skewed)
    )
    assert abs(plain.energy - same.energy) < 1e-10
    assert np.abs(plain.forces - same.forces).max() < 1e-10


def test_a_result_that_is_not_finite_is_refused() -> None:
    class Broken(Null):
        def compute_all(self, structures, *, committee=False):  # type: ignore[no-untyped-def]
            (result,) = super().compute_all(structures)
            result.forces[2, 1] = np.inf
            return [result]

    structure = triclinic()
    field = ForceField(Broken(), template(structure))
    with pytest.raises(InputError, match="not finite"):
        field.compute([structure.cell.T], [structure.positions])


def test_a_server_that_goes_or_stalls_is_noticed() -> None:
    half = init() + posdata([triclinic()])[:100]
    _fails(b"", ServerLost, "closed the connection without EXIT")
    _fails(b"STAT", ServerLost, "closed the connection inside a message")
    _fails(half, ServerLost, "closed the connection inside a message")
    with session(ForceField(Null(), template(triclinic())), timeout=0.1) as (server, done):
        server.send(half)
        with pytest.raises(ServerLost, match=r"silent for 0.1 s inside a message"):
            done.result(HANG)
    ours, theirs = socket.socketpair()
    with ours, Channel(theirs, 20.0, idle=0.1) as channel:
        with pytest.raises(ServerLost, match=r"silent for 0.1 s between messages"):
            serve(channel, ForceField(Null(), template(triclinic())))
    ours, theirs = socket.socketpair()
    with ours, Channel(theirs, 0.1) as channel:
        with pytest.raises(ServerLost, match="did not take"):
            channel.send(bytes(1 << 24))
    ours, theirs = socket.socketpair()
    ours.close()
    with Channel(theirs) as channel, pytest.raises(ServerLost, match="has gone"):
        channel.send(b"x")


def test_a_client_that_gives_up_ends_its_connection_without_a_reset() -> None:
    """i-PI's polling thread dies of a reset, and with it the run."""
    wrong = posdata([small()]) + b"GETFORCE    "
    with session(ForceField(Null(), template(triclinic()))) as (server, done):
        server.send(init() + wrong)
        with pytest.raises(InputError, match="i-PI sends 2 atoms"):
            done.result(HANG)
        assert server.end.recv(1) == b""


def test_a_client_killed_within_an_evaluation_leaves_nothing_unread() -> None:
    structure = triclinic()
    ours, theirs = socket.socketpair()
    seen = []

    class Spy(ForceField):
        def compute(self, cells, positions):  # type: ignore[no-untyped-def]
            theirs.setblocking(False)
            assert theirs.recv(1) == b""
            seen.append(len(positions))
            return super().compute(cells, positions)

    with ours, Channel(theirs, 20.0) as channel:
        ours.sendall(init() + posdata([structure]) + b"GETFORCE    ")
        ours.shutdown(socket.SHUT_WR)
        assert serve(channel, Spy(Null(), template(structure))) == 1
        assert Server(ours).forces(5)[0][0] == 0.0
    assert seen == [1]


def _mutations(seed: int, count: int) -> Iterator[bytes]:
    """A conversation with something wrong in it."""
    rng = random.Random(seed)
    first = triclinic()
    plain = b"STATUS      " + init() + b"STATUS      "
    plain += posdata([first]) + b"STATUS      GETFORCE    "
    batched = b"STATUS      " + init(" , batch_size:3") + posdata([first] * 3) + b"GETFORCE    "
    whole = [plain + plain + b"EXIT        ", batched + b"EXIT        "]
    edges = [0, -1, 1, 5, 2**31 - 1, -(2**31), 1024, 65536]
    for _ in range(count):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(len(data)) if data else 0
            kind = rng.randrange(6)
            if kind == 0:
                del data[at:]
            elif kind == 1:
                data[at : at + 1] = rng.randbytes(1)
            elif kind == 2:
                data[at : at + 4] = struct.pack("=i", rng.choice(edges))
            elif kind == 3:
                del data[at : at + rng.randrange(1, 40)]
            elif kind == 4:
                data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.randrange(200)]
            else:
                data[at : at + 8] = struct.pack("=d", rng.choice((np.nan, 1e300, -1e-300, 0.0)))
        yield bytes(data)


def _survives_mutations(field: ForceField, seed: int, count: int) -> None:
    """Each ends in an answer or an error of acepot's, in bounded time and memory."""
    outcomes: Counter[str] = Counter()
    for data in _mutations(seed, count):
        ours, theirs = socket.socketpair()
        with ours, Channel(theirs, timeout=5.0, idle=5.0) as channel:
            ours.sendall(data)
            ours.shutdown(socket.SHUT_WR)
            try:
                serve(channel, field)
                outcomes["served"] += 1
            except AceError as error:
                assert "silent" not in str(error), data
                lost = isinstance(error, ServerLost)
                outcomes["ServerLost" if lost else type(error).__name__] += 1
    assert set(outcomes) == {"served", "InputError", "ProtocolError", "ServerLost"}, outcomes
    assert min(outcomes.values()) > count // 100, outcomes


def test_mutated_messages_end_in_an_answer_or_an_error() -> None:
    tracemalloc.start()
    try:
        _survives_mutations(ForceField(Null(), template(triclinic())), 1, 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The largest batch of five atoms takes 0.4 MB with its answers.
    assert peak < 4e6, f"{peak / 1e6:.1f} MB"


@pytest.mark.slow
def test_ten_thousand_mutated_messages() -> None:
    _survives_mutations(forcefield(triclinic()), 2, 10_000)


# ------------------------------------------------------------------ files and options


def test_a_template_is_read_from_a_file(tmp_path: Path) -> None:
    model = acepot.load(MODEL)
    path = write_extxyz(tmp_path / "slab.extxyz", slab())
    found = read_template(path, model)
    assert (found.elements, found.pbc, len(found)) == ("Si5", (True, True, False), 5)
    assert read_template(path, model, "FFT").pbc == (False, False, True)
    with pytest.raises(InputError, match="three letters T or F"):
        read_template(path, model, "TTX")
    path.write_text(path.read_text().replace("Si ", "Ge ", 1))
    with pytest.raises(InputError, match=r"\[32\] are not in the model, which has Si"):
        read_template(path, model)
    with pytest.raises(InputError, match="nowhere"):
        read_template(tmp_path / "nowhere.xyz", model)


def test_a_template_of_several_frames_is_its_first_if_all_have_the_same_atoms(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model = acepot.load(MODEL)
    path = write_extxyz(tmp_path / "frames.extxyz", triclinic())
    one = path.read_text()
    path.write_text(one * 3)
    assert len(read_template(path, model)) == 5
    assert "the first of the 3 structures of " in caplog.text
    other = write_extxyz(tmp_path / "other.extxyz", small()).read_text()
    path.write_text(one + one + other)
    with pytest.raises(
        InputError, match=r"expected one structure, got 3 with different atoms.*frame 2"
    ):
        read_template(path, model)
    path.write_text(one + one.replace('pbc="T T T"', 'pbc="T T F"'))
    with pytest.raises(InputError, match="or periodic directions"):
        read_template(path, model)


def test_runs_of_elements_are_counted_in_order() -> None:
    water = Structure([8, 1, 1, 8], np.arange(12.0).reshape(4, 3))
    assert Template(water, ("O", "H", "H", "O"), (False,) * 3).elements == "OH2O"


def test_a_model_file_that_is_missing_damaged_or_without_committee(tmp_path: Path) -> None:
    path = write_extxyz(tmp_path / "start.extxyz", triclinic())
    with pytest.raises(AceError, match="nowhere.acepot"):
        open_forcefield(tmp_path / "nowhere.acepot", path)
    broken = tmp_path / "broken.acepot"
    broken.write_bytes(MODEL.read_bytes()[:2000])
    with pytest.raises(ModelFileError, match="broken.acepot"):
        open_forcefield(broken, path)
    newer = tmp_path / "newer.acepot"
    with zipfile.ZipFile(MODEL) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"version": 1', b'"version": 99'))
    with pytest.raises(ModelFileError, match="newer.acepot.*version"):
        open_forcefield(newer, path)
    single = tmp_path / "single.acepot"
    model = acepot.load(MODEL)
    acepot.save(replace(model, coefficients=model.coefficients[:1]), single)
    with pytest.raises(InputError, match="committee: .*single.acepot has none"):
        open_forcefield(single, path, committee=True)


def test_the_pes_class_is_the_core_single_and_in_batches(tmp_path: Path) -> None:
    pes = pytest.importorskip("ipi.pes")
    driver = pes.load_pes("custom", str(Path(command.__file__).with_name("pes.py")))
    structure = triclinic()
    path = write_extxyz(tmp_path / "start.extxyz", structure)
    one = driver(str(path), str(MODEL), verbosity=3)
    h, places = structure.cell.T * ANGSTROM, structure.positions * ANGSTROM
    assert_equal(one(h, places), structure, "single")
    for reply in one([h, h], [places, places]):
        assert_equal(reply, structure, "batch")
    told = driver(template=f" {path} ", model=str(MODEL), committee=" True", threads="1")
    assert set(json.loads(told(h, places)[3])) > {"committee_pot"}
    mixed = driver(str(path), str(MODEL), precision=" mixed")(h, places)
    exact = one(h, places)
    assert 0 < np.abs(mixed[1] - exact[1]).max() < 1e-5 * np.abs(exact[1]).max()
    with pytest.raises(InputError, match="precision: expected double, mixed or single, got 'half'"):
        driver(str(path), str(MODEL), precision="half")
    with pytest.raises(InputError, match="energies: expected True or False, got 'maybe'"):
        driver(str(path), str(MODEL), energies="maybe")
    with pytest.raises(InputError, match="threads: expected a whole number, got 'two'"):
        driver(str(path), str(MODEL), threads="two")
    with pytest.raises(InputError, match="i-PI sends 3 atoms"):
        one(h, places[:3])


def test_the_path_of_the_pes_file_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main(["--pes-path"])
    assert stop.value.code == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == "pes.py" and "__DRIVER_CLASS__" in path.read_text()


def test_bench_times_the_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_MEASURED", 0.01)
    path = write_extxyz(tmp_path / "start.extxyz", triclinic())
    assert command.main([str(MODEL), str(path), "--bench"]) == 0
    assert "µs per evaluation" in capsys.readouterr().out


def test_help_shows_an_example_and_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    out = capsys.readouterr().out
    assert "acepot-ipi model.acepot start.extxyz --unix silicon" in out and "exit status" in out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--inet", "[::1]:1", "--wait", "0.1"], 3, r"no i-PI server at \[::1\]:1 within 0.1 s"),
        (["--unix", "x" * 200], 1, "too long"),
        (["--unix", "nobody-here", "--wait", "0.1"], 3, "no i-PI server at .* within 0.1 s"),
        (["--unix", "x", "--prefix", "/dev/null/"], 3, "no i-PI server"),
    ],
)
def test_options_that_cannot_work_end_in_one_line(
    words: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write_extxyz(tmp_path / "start.extxyz", triclinic())
    if "--wait" not in words:
        words = [*words, "--wait", "0.1"]
    assert command.main([str(MODEL), str(path), *words]) == status
    last = caplog.records[-1].getMessage()
    assert "\n" not in last
    assert re.search(message, last), last


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inet", "localhost"], "argument --inet: expected HOST:PORT"),
        (["--inet", "localhost:abc"], "argument --inet: expected HOST:PORT"),
        (["--inet", "localhost:99999"], "argument --inet: expected HOST:PORT"),
        (["--inet", "::1:31415"], "[ADDRESS]:PORT with an address of IPv6, got ::1:31415"),
        (["--inet", "[]:31415"], "argument --inet: expected HOST:PORT"),
        (["--bench", "--pbc", "yes"], "argument --pbc: expected three letters"),
    ],
)
def test_wrong_usage_has_the_status_of_wrong_usage(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_extxyz(tmp_path / "start.extxyz", triclinic())
    with pytest.raises(SystemExit) as end:
        command.main([str(MODEL), str(path), *words])
    assert end.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


# ------------------------------------------------------------------ connections and processes


def _listen(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, 0), family=family)
    except OSError as error:
        if family == socket.AF_INET6:
            pytest.skip(f"this machine has no IPv6: {error}")
        raise


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_inet_socket_works_too(host: str) -> None:
    structure = small()
    with _listen(host) as listening, ThreadPoolExecutor(1) as pool:
        address = listening.getsockname()[:2]

        def run() -> int:
            with Channel(connect(address, 10.0)) as channel:
                return serve(channel, forcefield(structure))

        done = pool.submit(run)
        end, _ = listening.accept()
        with end:
            end.settimeout(HANG)
            server = Server(end)
            server.send(init() + posdata([structure]) + b"GETFORCE    ")
            assert_equal(server.forces(2)[0], structure, "inet")
            server.send(b"EXIT        ")
            assert done.result(HANG) == 1


def _start(folder: Path, *words: str) -> subprocess.Popen[str]:
    path = write_extxyz(folder / "start.extxyz", small())
    prefix = f"{folder}/"
    return subprocess.Popen(
        [sys.executable, "-m", "ipi_driver.command", str(MODEL), str(path), "--prefix", prefix,
         "--unix", "s", *words],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        # Jobs in the background inherit an ignored SIGINT, which Python would leave ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def _wait_for(client: subprocess.Popen[str], word: str) -> None:
    assert client.stderr is not None
    for line in client.stderr:
        if word in line:
            return
    pytest.fail(f"the client ended without saying {word!r}")


@contextmanager
def _listening(folder: Path) -> Iterator[Callable[[], Server]]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/s")
        listening.listen()
        listening.settimeout(HANG)

        def accept() -> Server:
            end, _ = listening.accept()
            end.settimeout(HANG)
            return Server(end)

        yield accept


def test_a_client_may_start_before_the_server_and_ends_with_it(tmp_path: Path) -> None:
    client = _start(tmp_path)
    _wait_for(client, "waiting for i-PI")
    with _listening(tmp_path) as accept:
        server = accept()
        server.send(init() + posdata([small()]) + b"GETFORCE    ")
        assert_equal(server.forces(2)[0], small(), "process")
        server.send(b"EXIT        ")
        _, said = client.communicate(timeout=HANG)
    server.end.close()
    assert client.returncode == 0 and "EXIT after 1 structures" in said


def test_a_server_that_closes_when_it_has_all_answers_ends_the_run(tmp_path: Path) -> None:
    """As ASE's SocketIOCalculator does, which never says EXIT."""
    with _listening(tmp_path) as accept:
        client = _start(tmp_path)
        server = accept()
        server.send(init() + posdata([small()]) + b"GETFORCE    ")
        assert_equal(server.forces(2)[0], small(), "process")
        assert server.status() == "READY"
        server.end.close()
        _, said = client.communicate(timeout=HANG)
    assert client.returncode == 0
    last = "acepot-ipi: the server closed the connection after 1 structures"
    assert said.splitlines()[-1] == last and "error" not in said


def test_a_server_that_closes_before_its_answer_is_an_error() -> None:
    _fails(init(), ServerLost, "closed the connection without EXIT")
    _fails(init() + posdata([triclinic()]), ServerLost, "closed the connection without EXIT")


def test_ases_server_is_served_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    from ase.calculators.socketio import SocketIOCalculator

    from ase_ace import to_atoms

    atoms = to_atoms(small())
    with SocketIOCalculator(unixsocket=f"acepot-{os.getpid()}") as atoms.calc:
        client = _start(tmp_path, "--prefix", "/tmp/ipi_", "--unix", f"acepot-{os.getpid()}")
        energies = []
        for _ in range(3):
            atoms.rattle(0.01, seed=3)
            energies.append(atoms.get_potential_energy())
    _, said = client.communicate(timeout=HANG)
    assert client.returncode == 0, said
    assert "error" not in said and "after 3 structures" in said.splitlines()[-1]
    potential = Potential(acepot.load(MODEL), threads=1)
    last = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    assert energies[-1] == pytest.approx(potential.compute(last).energy, rel=1e-6)


def test_a_server_that_dies_within_a_step_is_told_in_one_line(tmp_path: Path) -> None:
    with _listening(tmp_path) as accept:
        client = _start(tmp_path)
        server = accept()
        server.send(init() + posdata([small()])[:90])
        server.end.close()
        _, said = client.communicate(timeout=HANG)
    assert client.returncode == 3
    assert said.splitlines()[-1].startswith("acepot-ipi: error: the server closed the connection")
    assert "Traceback" not in said


def test_ctrl_c_ends_a_client_without_a_traceback(tmp_path: Path) -> None:
    with _listening(tmp_path) as accept:
        client = _start(tmp_path)
        server = accept()
        server.send(init())
        assert server.status() == "READY"
        client.send_signal(signal.SIGINT)
        _, said = client.communicate(timeout=HANG)
        server.end.close()
    assert client.returncode == 130
    assert said.splitlines()[-1] == "acepot-ipi: stopped"
    assert "Traceback" not in said


def test_waiting_for_a_server_ends_after_the_stated_time(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(ServerLost, match=r"no i-PI server at .* within 0.2 s"):
        connect(f"{tmp_path}/s", 0.2)
    assert time.monotonic() - begin >= 0.2
