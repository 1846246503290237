"""CPU time that the i-PI client adds to an evaluation: a model that costs nothing in its place.

    OMP_NUM_THREADS=1 python benchmarks/ipi_client.py [--rounds 5]

The client runs in a process of its own and answers a server that sends what i-PI 3.3 sends: per
step POSDATA and GETFORCE in one piece, then STATUS. Its CPU time is given, in µs per structure.
"""

import argparse
import multiprocessing
import socket
import statistics
import struct
import time
from collections.abc import Sequence

import numpy as np

from acepot import Result, Structure
from ipi_driver.client import serve
from ipi_driver.forcefield import ForceField
from ipi_driver.protocol import Channel
from ipi_driver.template import Template

#: Structures before the clock starts.
WARM = 50


class Null:
    """The same numbers every time, made beforehand; notes the CPU time of its calls."""

    def __init__(self, atoms: int) -> None:
        self.clock: list[float] = []
        # Energies with all their digits: zeros would be written much faster.
        energies = np.random.default_rng(1).normal(-163.0, 0.1, atoms)
        self._result = Result(energies, np.zeros((atoms, 3)), np.zeros((atoms, 3, 3)))

    def compute_all(
        self, structures: Sequence[Structure], *, committee: bool = False
    ) -> list[Result]:
        """The same result for all of them."""
        self.clock.append(time.process_time())
        return [self._result] * len(structures)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    print("atoms, µs per structure: single, in batches of 8, single with energies; allowed")
    for atoms in (64, 1000, 10_000):
        cases = ((1, False), (8, False), (1, True))
        found = [statistics.median(_measure(atoms, *case) for _ in range(rounds)) for case in cases]
        line = ", ".join(f"{value:.0f}" for value in found)
        print(f"{atoms:6d}: {line}; {200 + 0.05 * atoms:.0f}", flush=True)


def _measure(atoms: int, batch: int, energies: bool) -> float:
    """µs of the client's CPU time per structure."""
    steps = WARM + (1000 if atoms < 5000 else 300) // batch
    context = multiprocessing.get_context("fork")
    ours, theirs = socket.socketpair()
    receiver, sender = context.Pipe(duplex=False)
    client = context.Process(target=_client, args=(theirs, atoms, energies, sender))
    client.start()
    theirs.close()
    _serve(ours, atoms, batch, steps)
    clock = receiver.recv()
    client.join()
    ours.close()
    return 1e6 * (clock[-1] - clock[WARM - 1]) / (len(clock) - WARM) / batch


def _client(end: socket.socket, atoms: int, energies: bool, sender: object) -> None:
    edge = 5.0 * atoms ** (1 / 3)
    places = np.random.default_rng(0).uniform(0, edge, (atoms, 3))
    structure = Structure(np.full(atoms, 14), places, edge * np.eye(3), True)
    null = Null(atoms)
    template = Template(structure, ("Si",) * atoms, (True,) * 3)
    with Channel(end) as channel:
        serve(channel, ForceField(null, template, energies=energies))
    sender.send(null.clock)


def _serve(end: socket.socket, atoms: int, batch: int, steps: int) -> None:
    """What i-PI sends, and what it waits for."""
    text = f" , batch_size:{batch}".encode() if batch > 1 else b" "
    edge = 9.0 * atoms ** (1 / 3)
    box = np.concatenate([edge * np.eye(3), np.eye(3) / edge]).tobytes()
    places = np.random.default_rng(0).uniform(0, edge, (batch, atoms, 3)).tobytes()
    count = struct.pack("=i", atoms)
    data = count + box * batch if batch > 1 else box + count
    message = b"POSDATA     " + data + places + b"GETFORCE    "
    end.sendall(b"INIT        " + struct.pack("=ii", 0, len(text)) + text)
    for _ in range(steps):
        end.sendall(message)
        _take(end, 12 + 8 * batch + 4 + (24 * atoms + 72) * batch)
        for _ in range(batch):
            _take(end, *struct.unpack("=i", _take(end, 4)))
        end.sendall(b"STATUS      ")
        _take(end, 12)
    end.sendall(b"EXIT        ")


def _take(end: socket.socket, count: int) -> bytes:
    out = bytearray(count)
    view, done = memoryview(out), 0
    while done < count:
        done += end.recv_into(view[done:])
    return bytes(out)


if __name__ == "__main__":
    main()
