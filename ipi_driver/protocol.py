"""i-PI's wire protocol, from the client's side.

Every message begins with 12 ASCII characters. Numbers are float64 and int32 in the machine's
own byte order; h is the cell (columns are lattice vectors), ih its inverse, b the batch.

    server                                           client
    STATUS                                           NEEDINIT | READY | HAVEDATA
    INIT     bead, length, text
    POSDATA  h, ih, n, positions (3n)                                       batch of 1
    POSDATA  n, b times (h, ih), b times positions                          larger batches
    GETFORCE                                         FORCEREADY b energies, n, b times forces,
                                                     b virials, b times (length, text)
    EXIT

The server may send messages in one piece, the network may split them anywhere: exact numbers of
bytes are received. No memory is taken from a length before it is compared with what may come.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import AceError
from ipi_driver.forcefield import Answer
from ipi_driver.template import Template

HEADER = 12
#: Bytes of the text in INIT: the <parameters> of an input file, a few hundred in practice.
MAX_TEXT = 1 << 16
#: Structures in one POSDATA. Buffers for them are filled, and so take memory, as data arrive.
MAX_BATCH = 1024
#: Seconds for which a closing client reads what the server still sends.
_LINGER = 0.5
#: Bytes taken at most beyond those asked for: with the name of a message all of a small one.
_SPARE = 4096
#: The key under which i-PI appends its batch size to the text of INIT.
_BATCH = "batch_size"

Floats = NDArray[np.float64]


class ProtocolError(AceError, ValueError):
    """The server sent what i-PI's protocol does not have, or not at this point."""


class ServerLost(AceError, ConnectionError):  # noqa: N818 - reads as the thing that happened
    """The server is not there, has gone, or has fallen silent."""


class ServerClosed(ServerLost):
    """The server closed the connection between two messages."""


@dataclass(frozen=True)
class Init:
    """The content of INIT.

    Args:
        bead: number of the first structure.
        batch: structures in each POSDATA.
        parameters: those of the forcefield in i-PI's input.
    """

    bead: int
    batch: int
    parameters: Mapping[str, str]


class Channel:
    """A connection on which exact numbers of bytes are received.

    Args:
        connection: a connected socket; it is closed with the channel.
        timeout: seconds without a byte inside a message, or for sending one.
        idle: seconds without a byte between messages; None: for as long as the connection stands.
    """

    def __init__(
        self, connection: socket.socket, timeout: float = 60.0, idle: float | None = None
    ) -> None:
        self._socket = connection
        self._timeout, self._idle = timeout, idle
        self._ahead, self._spare = b"", memoryview(bytearray(_SPARE))
        self._waits: float | None = -1.0  # what the socket was last told

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        """Close, such that the server sees an end and no reset.

        Closing on unread bytes resets a connection, and i-PI 3.3 waits forever after a reset.
        """
        give_up = time.monotonic() + _LINGER
        with self._socket, suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_LINGER)
            while time.monotonic() < give_up and self._socket.recv(1 << 16):
                pass

    def read_ahead(self) -> None:
        """Take the next header if it has already come, without waiting for it.

        i-PI sends GETFORCE together with POSDATA. Taken before the evaluation, it cannot be left
        unread by a client that is killed within it (see `__exit__`).
        """
        if len(self._ahead) >= HEADER:
            return
        self._wait_for(0.0)
        with suppress(OSError):  # nothing there; if the server has gone, the next call says so
            self._ahead += self._socket.recv(HEADER - len(self._ahead))

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            ServerLost: it does not take them in time, or has gone.
        """
        self._wait_for(self._timeout)
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise ServerLost(
                f"the server did not take {len(data)} bytes in {self._timeout:g} s"
            ) from error
        except OSError as error:
            raise ServerLost(f"the server has gone: {error}") from error

    def receive(self, into: memoryview, *, between: bool = False) -> None:
        """Fill a buffer; what has come beyond it, up to a bound, is kept for the next one.

        Args:
            into: takes the bytes.
            between: whether a message begins here, so that the server may take its time.

        Raises:
            ServerClosed: it closed the connection before the first byte of a message.
            ServerLost: it has gone, or is silent for too long.
        """
        done, total = min(len(self._ahead), len(into)), len(into)
        into[:done], self._ahead = self._ahead[:done], self._ahead[done:]
        while done < total:
            waiting = between and done == 0
            wait = self._idle if waiting else self._timeout
            self._wait_for(wait)
            try:
                count = self._socket.recvmsg_into([into[done:], self._spare])[0]
            except TimeoutError as error:
                where = "between messages" if waiting else "inside a message"
                raise ServerLost(f"the server was silent for {wait:g} s {where}") from error
            except OSError as error:
                raise ServerLost(f"the server has gone: {error}") from error
            if count == 0:
                kind, where = (
                    (ServerClosed, "without EXIT") if waiting else (ServerLost, "inside a message")
                )
                raise kind(f"the server closed the connection {where}: it ended or was killed")
            done += count
        if done > total:
            self._ahead = bytes(self._spare[: done - total])

    def _wait_for(self, seconds: float | None) -> None:
        """Tell the socket how long to wait, if that is new: it costs a call of the system."""
        if seconds != self._waits:
            self._socket.settimeout(seconds)
            self._waits = seconds


def receive_header(channel: Channel) -> str:
    """The name of the next message.

    Raises:
        ServerLost: the server has gone, or is silent for too long.
        ProtocolError: not the name of a message.
    """
    buffer = bytearray(HEADER)
    channel.receive(memoryview(buffer), between=True)
    name = buffer.decode("ascii", errors="replace").rstrip(" ")
    if name not in ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT"):
        raise ProtocolError(
            f"expected STATUS, INIT, POSDATA, GETFORCE or EXIT, got {bytes(buffer)!r}; "
            "is this the port of an i-PI server?"
        )
    return name


def receive_init(channel: Channel) -> Init:
    """The content of INIT.

    Raises:
        ServerLost: the server has gone, or is silent for too long.
        ProtocolError: a text of impossible length or no text, or an impossible batch.
    """
    bead, length = struct.unpack("=ii", _bytes(channel, 8))
    if not 0 <= length <= MAX_TEXT:
        raise ProtocolError(f"INIT: expected a text of 0 to {MAX_TEXT} bytes, got {length}")
    try:
        text = _bytes(channel, length).decode()
    except UnicodeDecodeError as error:
        raise ProtocolError(f"INIT: expected a text in UTF-8: {error}") from None
    pairs = (part.partition(":") for part in text.split(","))
    parameters = {key.strip(): value.strip() for key, colon, value in pairs if colon}
    number = parameters.pop(_BATCH, "1")
    if not (number.isascii() and number.isdecimal() and len(number) < 9):
        raise ProtocolError(f"INIT: expected a whole number as {_BATCH}, got {number[:40]!r}")
    if not 1 <= int(number) <= MAX_BATCH:
        raise ProtocolError(f"INIT: expected a {_BATCH} of 1 to {MAX_BATCH}, got {number}")
    return Init(bead, int(number), parameters)


def receive_positions(channel: Channel, template: Template, batch: int) -> tuple[Floats, Floats]:
    """The content of POSDATA.

    Args:
        channel: the connection.
        template: says how many atoms there must be.
        batch: structures in the message.

    Returns:
        Cells (batch, 3, 3), lattice vectors as columns, and positions (batch, n, 3), in Bohr.

    Raises:
        ServerLost: the server has gone, or is silent for too long.
        InputError: another number of atoms than in the template; nothing was allocated.
    """
    cells = np.empty((batch, 2, 3, 3))
    if batch == 1:
        channel.receive(_view(cells))
    (count,) = struct.unpack("=i", _bytes(channel, 4))
    template.check_count(count)
    if batch > 1:
        channel.receive(_view(cells))
    positions = np.empty((batch, count, 3))
    channel.receive(_view(positions))
    return cells[:, 0], positions


def send_status(channel: Channel, status: str) -> None:
    """Send NEEDINIT, READY or HAVEDATA.

    Raises:
        ServerLost: the server has gone.
    """
    channel.send(_header(status))


def send_answers(channel: Channel, answers: Sequence[Answer]) -> None:
    """Send FORCEREADY with everything that belongs to it, in one piece.

    Raises:
        ServerLost: the server has gone.
    """
    parts: list[bytes | memoryview] = [_header("FORCEREADY")]
    parts.extend(struct.pack("=d", one.energy) for one in answers)
    parts.append(struct.pack("=i", len(answers[0].forces)))
    parts.extend(np.ascontiguousarray(one.forces).data for one in answers)
    parts.extend(np.ascontiguousarray(one.virial).data for one in answers)
    for one in answers:
        text = one.extras.encode()
        parts.extend((struct.pack("=i", len(text)), text))
    channel.send(b"".join(parts))


def _header(name: str) -> bytes:
    return name.ljust(HEADER).encode("ascii")


def _bytes(channel: Channel, count: int) -> bytearray:
    buffer = bytearray(count)
    channel.receive(memoryview(buffer))
    return buffer


def _view(array: Floats) -> memoryview:
    return array.data.cast("B")
