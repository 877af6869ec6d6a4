"""The HTTP of a server: paths, bodies, errors. The one module that knows Starlette."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from edge_lstm.errors import EdgeLSTMError, RequestError, first_line
from edge_lstm.extras import needs
from edge_lstm.serving import metrics
from edge_lstm.serving.service import Service

with needs("serve", "'serve'"):
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY_BYTES = 2**20

# A longer body is read to its end, up to this length, so that its client gets the error and not a
# broken connection.
_MOST_READ = 64 * 2**20

# Different errors of the event loop that are reported.
_MOST_COMPLAINTS = 100

JSON_TYPE = "application/json"
_JSON_HEADER = (b"content-type", JSON_TYPE.encode())

# A body and the client's authorization → the value of the answer.
_Answer = Callable[[bytes, str | None], Awaitable[Any]]

_Headers = list[tuple[bytes, bytes]]


def create_app(service: Service, started: str | None = None) -> ASGIApp:
    """Return the ASGI application of a service.

    Questions go past Starlette: its layers take as long as an answer.

    started: a line to report when it begins.
    """
    complaints: set[str] = set()

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report an error of the event loop once, such as too many open files."""
        error = context.get("exception")
        reason = f": {first_line(error)}" if isinstance(error, Exception) else ""
        line = f"{context['message']}{reason}"
        if line not in complaints and len(complaints) < _MOST_COMPLAINTS:
            complaints.add(line)
            service.report(line)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(complain)
        watching = asyncio.create_task(service.watch())
        if started is not None:
            service.report(started)
        try:
            yield
        finally:
            watching.cancel()
            await service.close()

    def shown(value: Callable[[], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return Response(json.dumps(value()), media_type=JSON_TYPE)

        return endpoint

    async def show_metrics(request: Request) -> Response:
        return Response(service.metrics.render(), headers={"content-type": metrics.CONTENT_TYPE})

    async def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        missing = RequestError(
            "there is nothing at this path and method; see POST /v1/systemone, POST /predict, "
            "GET /v1/models, /health and /metrics",
            status=status,
            kind="not_found",
        )
        return Response(error_body(missing), status, media_type=JSON_TYPE)

    posted = {
        "/v1/systemone": _Endpoint(service, service.decide),
        "/predict": _Endpoint(service, service.predict),
    }
    routed = Starlette(
        routes=[
            Route("/v1/models", shown(service.list_models)),
            Route("/health", shown(service.health)),
            Route("/metrics", show_metrics),
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posted.items()),
        ],
        exception_handlers={HTTPException: http_error},
        lifespan=lifespan,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint: ASGIApp | None = None
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = posted.get(scope["path"])
        await (endpoint or routed)(scope, receive, send)

    return app


def error_body(error: RequestError) -> bytes:
    """Return the JSON of an error, on one line."""
    details = {key: value for key, value in error.details.items() if key != "answers"}
    body: dict[str, Any] = {"error": {"type": error.kind, "message": str(error), **details}}
    if "answers" in error.details:
        body["answers"] = error.details["answers"]
    return json.dumps(body).encode()


class _Endpoint:
    """Answers POST at a path: an ASGI application."""

    def __init__(self, service: Service, answer: _Answer) -> None:
        self._service = service
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = dict(scope["headers"])
        status = 200
        more: _Headers = []
        try:
            body = await _read(headers, receive)
            if body is None:
                return
            authorization = headers.get(b"authorization")
            key = None if authorization is None else authorization.decode("latin-1")
            data = json.dumps(await self._answer(body, key)).encode()
        except Exception as error:
            refused = _as_request_error(self._service, error)
            status = refused.status
            more = _headers_of(refused)
            data = error_body(refused)
        every = [(b"content-length", b"%d" % len(data)), _JSON_HEADER, *more]
        await send({"type": "http.response.start", "status": status, "headers": every})
        await send({"type": "http.response.body", "body": data})
        self._service.metrics.count("requests_total", scope["path"], str(status))
        self._service.metrics.time(time.perf_counter() - started)


def _as_request_error(service: Service, error: Exception) -> RequestError:
    """Return the error for the client. Errors of the server are reported."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, EdgeLSTMError):
        service.report(str(error))
        return RequestError(str(error), status=500, kind="model_failed")
    service.report(f"a request failed: {type(error).__name__}: {first_line(error)}")
    what = "the server failed at this request; its operator sees the reason"
    return RequestError(what, status=500, kind="internal_error")


def _headers_of(error: RequestError) -> _Headers:
    headers = []
    if "retry_after" in error.details:
        headers.append((b"retry-after", str(error.details["retry_after"]).encode("latin-1")))
    if error.status == 413:
        headers.append((b"connection", b"close"))
    return headers


async def _read(headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
    """Return the body of a request; None if the client went away. Raises RequestError."""
    parts: list[bytes] = []
    size = 0
    has_more = True
    while has_more and size <= _MOST_READ:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        has_more = message.get("more_body", False)
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
    if size > MAX_BODY_BYTES:
        raise _too_large()
    data = b"".join(parts)
    encoding = headers.get(b"content-encoding")
    return data if encoding is None else _decompressed(data, encoding.decode("latin-1"))


def _decompressed(data: bytes, encoding: str) -> bytes:
    """Return a body without its compression. Raises RequestError."""
    decompressor: Any = None
    if encoding == "gzip":
        decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    elif encoding == "zstd":
        decompressor = _zstd()
    if decompressor is None:
        raise RequestError(
            f"the server cannot read the content encoding {encoding[:20]!r}; send the body as it "
            "is",
            status=415,
            kind="unsupported_encoding",
        )
    try:
        whole: bytes = decompressor.decompress(data, MAX_BODY_BYTES + 1)
    except Exception:
        raise RequestError(
            f"the body is not {encoding}; send it as it is", status=400, kind="invalid_encoding"
        ) from None
    if len(whole) > MAX_BODY_BYTES:
        raise _too_large()
    return whole


def _zstd() -> Any:
    """Return a decompressor; None before Python 3.14."""
    try:
        from compression import zstd
    except ImportError:
        return None
    return zstd.ZstdDecompressor()


def _too_large() -> RequestError:
    return RequestError(
        f"the body is longer than {MAX_BODY_BYTES:,} bytes; send a shorter text",
        status=413,
        kind="too_large",
    )
