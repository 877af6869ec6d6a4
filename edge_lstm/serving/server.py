"""The server's sockets: an address, the number of connections and the time for a request."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from edge_lstm.errors import OutputError, RequestError
from edge_lstm.extras import needs
from edge_lstm.serving.app import JSON_TYPE, create_app, error_body
from edge_lstm.serving.service import Service

with needs("serve", "'serve'"):
    import uvicorn
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

# Connections that wait to be accepted. asyncio accepts as many at once, and closes refused ones
# two turns of its loop later.
_BACKLOG = 128

# Files that the process needs next to its connections: model files, the log, the upstream.
_OTHER_FILES = 64 + 3 * _BACKLOG

# Seconds that a connection stays open after an answer.
_IDLE_SECONDS = 75


@dataclass(frozen=True)
class Limits:
    """Limits of the connections.

    connections: open at once.
    seconds: in which a request must have come, from its first byte to its last.
    """

    connections: int = 512
    seconds: float = 10.0


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. port: 0 for a free one. Raises OutputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(
            f"cannot listen on {host} port {port}: {reason}; choose another --port or --host"
        ) from None
    # Its connections inherit it. asyncio sets it for sockets of its own alone, and without it the
    # body of an answer waits some 40 ms until the client has acknowledged the headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(service: Service, listening: socket.socket, limits: Limits) -> None:
    """Answer requests until a signal ends the process, and report the address first."""
    address = listening.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    # Reported by the application: from then on a signal is an ordinary end.
    started = f"serving on http://{host}:{address[1]}; Ctrl-C ends"
    config = uvicorn.Config(
        create_app(service, started),
        http=_protocol(replace(limits, connections=_possible(limits.connections))),
        backlog=_BACKLOG,
        ws="none",
        lifespan="on",
        # Texts and tracebacks stay out of every log; the service reports in lines of its own.
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        # Nobody asks for a client's address.
        proxy_headers=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=max(1, round(limits.seconds)),
    )
    uvicorn.Server(config).run(sockets=[listening])


def _possible(connections: int) -> int:
    """Return as many connections as the limit of open files leaves, raised if it may be."""
    try:
        import resource
    except ImportError:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return min(connections, max(soft - _OTHER_FILES, soft // 4, 1))
    return connections


def _protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return the protocol of a connection, with limits that uvicorn does not have."""

    class LimitedProtocol(AutoHTTPProtocol):  # type: ignore[misc]
        """A connection whose requests must be complete in time.

        If there are too many connections, the one whose request has been incomplete for the
        longest time makes room, then one without a request. If all are at work, the new one is
        refused.
        """

        def connection_made(self, transport: Any) -> None:
            """Begin, or refuse the connection."""
            super().connection_made(transport)
            self._deadline: asyncio.TimerHandle | None = None
            if len(self.connections) > limits.connections and not self._make_room():
                self._refuse(503, "overloaded", "the server has too many connections; try again")
            else:
                self._set_deadline()

        def data_received(self, data: bytes) -> None:
            """Take bytes of a request."""
            super().data_received(data)
            cycle = self.cycle
            if cycle is None or cycle.more_body or cycle.response_complete:
                self._set_deadline()
            else:
                self._clear_deadline()

        def connection_lost(self, exc: Exception | None) -> None:
            """End."""
            self._clear_deadline()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            """Answer bytes that are not HTTP."""
            self._refuse(400, "invalid_request", "this is not a request of HTTP; send HTTP/1.1")

        def _set_deadline(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(limits.seconds, self._expire)

        def _clear_deadline(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _expire(self) -> None:
            what = f"the request was not complete in {limits.seconds:g} s; send it at once"
            self._refuse(408, "timeout", what)

        def _make_room(self) -> bool:
            others = [each for each in self.connections if each is not self]
            slow = [each for each in others if each._deadline is not None]
            idle = [each for each in others if each.cycle is None or each.cycle.response_complete]
            if slow:
                min(slow, key=lambda each: each._deadline.when())._expire()
            elif idle:
                idle[0].transport.close()
            return bool(slow or idle)

        def _refuse(self, status: int, kind: str, what: str) -> None:
            self._clear_deadline()
            body = error_body(RequestError(what, status=status, kind=kind))
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                f"content-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            self.transport.close()

    return LimitedProtocol
