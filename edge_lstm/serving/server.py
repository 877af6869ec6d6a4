"""The server's socket, and uvicorn with its limits."""

from __future__ import annotations

import socket

from edge_lstm.errors import OutputError
from edge_lstm.extras import needs
from edge_lstm.serving.app import App
from edge_lstm.serving.service import Service

with needs("serve", "'serve'"):
    import uvicorn

# From as many open connections on, a request gets status 503. Each may hold a body.
MAX_CONNECTIONS = 512


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. port: 0 for a free one. Raises OutputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(
            f"cannot listen on {host} port {port}: {reason}; choose another --port or --host"
        ) from None
    # Its connections inherit it. asyncio sets it for sockets of its own alone, and without it the
    # body of an answer waits some 40 ms until the client has acknowledged the headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(service: Service, listening: socket.socket, seconds: float) -> None:
    """Answer requests until a signal ends the process, and report the address first.

    seconds: which requests under way then have to end.
    """
    address = listening.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    # Reported by the application: from then on a signal is an ordinary end.
    started = f"serving on http://{host}:{address[1]}; Ctrl-C ends"
    config = uvicorn.Config(
        App(service, started),
        ws="none",
        lifespan="on",
        # Texts and tracebacks stay out of every log; the service reports in lines of its own.
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        # Nobody asks for a client's address.
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        # Longer than proxies keep their connections.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(seconds)),
    )
    uvicorn.Server(config).run(sockets=[listening])
