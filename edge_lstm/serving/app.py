"""The HTTP of a server: paths, bodies, errors, as an application of ASGI."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from edge_lstm.errors import EdgeLSTMError, RequestError, first_line
from edge_lstm.serving import decisions_api, metrics
from edge_lstm.serving.service import Service

MAX_BODY_BYTES = 2**20

_Scope = dict[str, Any]
_Message = dict[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Headers = list[tuple[bytes, bytes]]


class App:
    """The application of a service."""

    def __init__(self, service: Service, started: str | None = None) -> None:
        """Set up. started: a line to report when it begins."""
        self._service = service
        self._started = started
        self._complaints: set[str] = set()
        self._posted = {
            "/v1/systemone": service.decide,
            decisions_api.PATH: service.decide_openai,
            "/predict": service.predict,
        }
        self._shown: dict[str, Callable[[], Any]] = {
            "/v1/models": service.list_models,
            "/health": service.health,
            "/metrics": service.metrics.render,
        }

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer a request, or live from the server's start to its end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        began = time.perf_counter()
        path = scope["path"].rstrip("/")
        status = 200
        headers: _Headers = []
        try:
            value = await self._answer(path, scope, receive)
        except Exception as error:
            refused = self._as_request_error(error)
            headers = _headers_of(refused)
            status, value = _error_value(refused)
            if path == decisions_api.PATH:
                status, value = decisions_api.write_error(status, value)
        if value is None:
            return
        is_text = isinstance(value, str)
        data = (value if is_text else json.dumps(value)).encode()
        kind = metrics.CONTENT_TYPE if is_text else b"application/json"
        headers += [(b"content-type", kind), (b"content-length", b"%d" % len(data))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})
        if path in self._posted:
            self._service.metrics.count("requests_total", path, str(status))
            self._service.metrics.time(time.perf_counter() - began)

    async def _live(self, receive: _Receive, send: _Send) -> None:
        await receive()
        asyncio.get_running_loop().set_exception_handler(self._complain)
        watching = asyncio.create_task(self._service.watch())
        if self._started is not None:
            self._service.report(self._started)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watching.cancel()
        await self._service.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report an error of the event loop once, such as too many open files."""
        error = context.get("exception")
        reason = f": {first_line(error)}" if isinstance(error, Exception) else ""
        line = f"{context['message']}{reason}"
        if line not in self._complaints and len(self._complaints) < 100:
            self._complaints.add(line)
            self._service.report(line)

    async def _answer(self, path: str, scope: _Scope, receive: _Receive) -> Any:
        """Return the answer to a request: JSON or a text; None if the client went away."""
        method = scope["method"]
        if method == "POST" and path in self._posted:
            headers = dict(scope["headers"])
            body = await _read(headers, receive)
            if body is None:
                return None
            return await self._posted[path](body, headers.get(b"authorization"))
        if method in ("GET", "HEAD") and path in self._shown:
            return self._shown[path]()
        raise RequestError(
            "there is nothing at this path and method; see POST /v1/systemone, /v1/decisions and "
            "/predict, GET /v1/models, /health and /metrics",
            status=405 if path in {**self._posted, **self._shown} else 404,
            kind="not_found",
        )

    def _as_request_error(self, error: Exception) -> RequestError:
        """Return the error for the client. Errors of the server are reported."""
        if isinstance(error, RequestError):
            return error
        if isinstance(error, RecursionError):
            what = "the body is nested too deeply; send a flatter one"
            return RequestError(what, status=400, kind="invalid_json")
        if isinstance(error, EdgeLSTMError):
            self._service.report(str(error))
            return RequestError(str(error), status=500, kind="model_failed")
        self._service.report(f"a request failed: {type(error).__name__}: {first_line(error)}")
        what = "the server failed at this request; its operator sees the reason"
        return RequestError(what, status=500, kind="internal_error")


def _error_value(error: RequestError) -> tuple[int, dict[str, Any]]:
    """Return the status of an error, and its JSON."""
    details = {**error.details}
    answers = {"answers": details.pop("answers")} if "answers" in details else {}
    shown = {"type": error.kind, "message": str(error), **details}
    return error.status, {"error": shown, **answers}


def _headers_of(error: RequestError) -> _Headers:
    headers = []
    if "retry_after" in error.details:
        headers.append((b"retry-after", str(error.details["retry_after"]).encode()))
    if error.status == 413:
        headers.append((b"connection", b"close"))
    return headers


async def _read(headers: dict[bytes, bytes], receive: _Receive) -> bytes | None:
    """Return the body of a request; None if the client went away. Raises RequestError."""
    parts: list[bytes] = []
    size = 0
    has_more = True
    # A body that is too long is read to its end, up to 64 MiB: its client gets the error and not a
    # broken connection.
    while has_more and size <= 64 * 2**20:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        has_more = message.get("more_body", False)
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
    if size > MAX_BODY_BYTES:
        raise RequestError(
            f"the body is longer than {MAX_BODY_BYTES:,} bytes; send a shorter text",
            status=413,
            kind="too_large",
        )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestError(
            "the server reads no compressed body; send it as it is",
            status=415,
            kind="unsupported_encoding",
        )
    return b"".join(parts)
