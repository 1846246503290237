"""The client: connects to an i-PI server and answers it until it says EXIT."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Sequence

from acepot.errors import InputError
from ipi_driver.forcefield import Answer, ForceField
from ipi_driver.protocol import (
    Channel,
    Init,
    ProtocolError,
    ServerClosed,
    ServerLost,
    receive_header,
    receive_init,
    receive_positions,
    send_answers,
    send_status,
)

_LOG = logging.getLogger(__name__)
#: Seconds between two attempts to connect, at first and at most.
_PAUSE, _LONGEST = 0.05, 1.0

Address = str | tuple[str, int]


def connect(address: Address, wait: float = 60.0) -> socket.socket:
    """Connect to a server, which may not be up yet.

    Args:
        address: the path of a unix socket, or host and port.
        wait: seconds for which to try again.

    Raises:
        ServerLost: no server in this time.
        InputError: an address that cannot exist, or no permission.
    """
    give_up = time.monotonic() + wait
    pause, told = _PAUSE, False
    while True:
        try:
            return _attempt(address)
        except (PermissionError, UnicodeError, OverflowError) as error:
            raise InputError(f"{_name(address)}: {error}") from error
        except OSError as error:
            if error.errno is None:  # such as a path that is too long for a socket
                raise InputError(f"{_name(address)}: {error}") from error
            left = give_up - time.monotonic()
            if left <= 0:
                raise ServerLost(
                    f"no i-PI server at {_name(address)} within {wait:g} s ({error})"
                ) from error
        if not told:
            _LOG.info("waiting for i-PI at %s, for up to %g s", _name(address), wait)
            told = True
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST)


def serve(channel: Channel, forcefield: ForceField) -> int:
    """Answer a server until it says EXIT.

    Servers that are not i-PI, such as ASE's, close the connection when they are done: an end like
    EXIT if they have got an answer to all they sent.

    Args:
        channel: the connection.
        forcefield: evaluates what comes.

    Returns:
        Number of structures evaluated.

    Raises:
        ServerLost: the server went before its first answer or a later one, or fell silent.
        ProtocolError: it sent what the protocol does not have.
        InputError: it sent structures that do not suit.
    """
    init: Init | None = None
    answers: Sequence[Answer] = ()
    evaluated = 0
    while True:
        try:
            name = receive_header(channel)
        except ServerClosed:
            if answers or not evaluated:
                raise
            _LOG.info("the server closed the connection after %d structures", evaluated)
            return evaluated
        if name == "EXIT":
            _LOG.info("i-PI said EXIT after %d structures", evaluated)
            return evaluated
        if name == "STATUS":
            ready = "HAVEDATA" if answers else "READY"
            send_status(channel, ready if init else "NEEDINIT")
        elif name == "INIT":
            init, answers = receive_init(channel), ()
            forcefield.template.check(init.parameters)
        elif init is None:
            raise ProtocolError(f"expected INIT first, got {name}")
        elif name == "POSDATA":
            cells, positions = receive_positions(channel, forcefield.template, init.batch)
            channel.read_ahead()
            answers = forcefield.compute(list(cells), list(positions))
            evaluated += len(answers)
        elif answers:
            send_answers(channel, answers)
            answers = ()
        else:
            raise ProtocolError("expected POSDATA first, got GETFORCE")


def _attempt(address: Address) -> socket.socket:
    if isinstance(address, str):
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            unix.connect(address)
        except BaseException:
            unix.close()
            raise
        return unix
    inet = socket.create_connection(address, timeout=10.0)
    # Small messages must not wait for each other, and a host that vanished must be noticed.
    inet.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    inet.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        inet.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        inet.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20)
        inet.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    return inet


def _name(address: Address) -> str:
    if isinstance(address, str):
        return address
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
