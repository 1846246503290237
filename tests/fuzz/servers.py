"""Servers of i-PI's protocol that say anything: the client ends with an error of ours, or well.

    python tests/fuzz/servers.py --count 10000

A session is a script of bytes that a server sends without listening: messages of the protocol in
any order, with numbers out of bounds, cut off, doubled, or of another program altogether. Another
exception, more than `--patience` seconds or more memory than `MEMORY` is a failure. Equal seeds
give equal sessions.
"""

from __future__ import annotations

import argparse
import resource
import socket
import struct
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np

import acepot
from acepot.errors import AceError
from ipi_driver.client import serve
from ipi_driver.forcefield import ForceField
from ipi_driver.protocol import Channel
from ipi_driver.template import Template

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "Si-mlearn" / "model.acepot"
#: Bytes by which the process may grow.
MEMORY = 2**30
#: Seconds of silence after which the client gives up: the script has no more to say.
_SILENCE = 0.2
_ATOMS = 2
_INTEGERS = (0, 1, -1, 2, 3, 7, 255, 2**16, 2**16 + 1, 2**31 - 1, -(2**31), 10**6)
_FLOATS = (0.0, -0.0, 1.0, 1e-320, 1e-9, 1e9, 1e200, -1e300, float("nan"), float("inf"))
_TEXTS = (
    b"", b"a", b"batch_size: 2", b"batch_size: 99999999", b"batch_size: -1", b"batch_size: 1e3",
    b"template: x", b"\xff\xfe", b"a: b, c: d, batch_size: 3", b"," * 500, b"pbc: TTF",
    b"batch_size: \xd9\xa3", b"batch_size:", b"model: x, threads: 2",
)  # fmt: skip


def forcefield() -> ForceField:
    """Two silicon atoms in a cell."""
    model = acepot.load(MODEL)
    atoms = acepot.Structure([14, 14], [[0, 0, 0], [1.3, 1.4, 1.5]], 5.4 * np.eye(3), True)
    return ForceField(
        acepot.Potential(model, threads=1), Template(atoms, ("Si", "Si"), (True, True, True))
    )


def session(seed: int, number: int) -> bytes:
    """What the server of a number sends."""
    random = Random(f"{seed}/{number}")
    parts = [_init(random)] if random.random() < 0.9 else []
    for _ in range(random.randrange(1, 7)):
        parts.append(random.choice(_MESSAGES)(random))
    if random.random() < 0.5:
        parts.append(_name("EXIT"))
    data = b"".join(parts)
    how = random.random()
    if how < 0.15:
        data = data[: random.randrange(len(data) + 1)]
    elif how < 0.3:
        out = bytearray(data)
        for _ in range(random.choice((1, 1, 3, 20))):
            out[random.randrange(len(out))] = random.randrange(256)
        data = bytes(out)
    return data


def _name(name: str) -> bytes:
    return name.ljust(12).encode()


def _integer(random: Random, usual: int) -> bytes:
    value = usual if random.random() < 0.8 else random.choice(_INTEGERS)
    return struct.pack("=i", value)


def _init(random: Random) -> bytes:
    text = random.choice(_TEXTS) if random.random() < 0.5 else b"nothing"
    return _name("INIT") + _integer(random, 0) + _integer(random, len(text)) + text


def _positions(random: Random) -> bytes:
    cell = 10.2 * np.eye(3) + 0.1 * np.array(
        [[random.random() for _ in range(3)] for _ in range(3)]
    )
    place = np.array([[random.uniform(0, 10) for _ in range(3)] for _ in range(_ATOMS)])
    for array in (cell, place):
        if random.random() < 0.25:
            array.flat[random.randrange(array.size)] = random.choice(_FLOATS)
    atoms = _integer(random, _ATOMS)
    return _name("POSDATA") + cell.tobytes() * 2 + atoms + place.tobytes()


_MESSAGES = (
    _positions, _positions, _positions, _init,
    lambda _random: _name("STATUS"), lambda _random: _name("GETFORCE"),
    lambda _random: _name("GETFORCE"), lambda _random: _name("EXIT"),
    lambda random: _name(random.choice(("HELLO", "", "status", "POSDATA2", "FORCEREADY"))),
    lambda _random: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    lambda random: random.randbytes(random.randrange(1, 400)),
    lambda _random: b"SSH-2.0-OpenSSH_9.2\r\n",
)  # fmt: skip


def verdict(data: bytes, field: ForceField) -> str:
    """Serve such a server: how it ended."""
    ours, theirs = socket.socketpair()
    answer = threading.Thread(target=_speak, args=(theirs, data))
    answer.start()
    try:
        with Channel(ours, _SILENCE, _SILENCE) as channel:
            serve(channel, field)
        return "ended"
    except AceError as error:
        return f"refused: {type(error).__name__}"
    except Exception as error:
        return f"FAILED {type(error).__name__}: {str(error)[:200]}"
    finally:
        answer.join()


def _speak(connection: socket.socket, data: bytes) -> None:
    """Send everything, take whatever comes, and leave."""
    with connection:
        connection.settimeout(_SILENCE)
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass
        except OSError:
            pass


def campaign(count: int, seed: int, patience: float) -> tuple[Counter[str], float, list[str]]:
    """All sessions.

    Args:
        count: of sessions.
        seed: of the campaign.
        patience: seconds for one.

    Returns:
        How often each end came, the longest time in seconds, and what failed.
    """
    field, ends, slowest, failed = forcefield(), Counter[str](), 0.0, []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    warnings.simplefilter("error")
    for number in range(count):
        begin = time.perf_counter()
        end = verdict(session(seed, number), field)
        spent = time.perf_counter() - begin
        slowest = max(slowest, spent)
        ends[end.partition(":")[0] if end.startswith("FAILED") else end] += 1
        if end.startswith("FAILED") or spent > patience:
            failed.append(f"session {number}: {end}, {spent:.1f} s")
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if grown > MEMORY:
        failed.append(f"the process grew by {grown / 2**20:.0f} MB")
    return ends, slowest, failed


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=5.0)
    options = parser.parse_args()
    ends, slowest, failed = campaign(options.count, options.seed, options.patience)
    for end, times in ends.most_common():
        print(f"{times:8d}  {end}")
    print(f"slowest {slowest:.2f} s; {len(failed)} failures")
    print("\n".join(failed[:50]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
