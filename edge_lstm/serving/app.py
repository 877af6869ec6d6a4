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
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import Route

MAX_BODY_BYTES = 2**20

# A longer body is read to its end, up to this length, so that its client gets the error and not a
# broken connection.
_MOST_READ = 64 * 2**20

# Different errors of the event loop that are reported.
_MOST_COMPLAINTS = 100

JSON_TYPE = "application/json"

# A body and the client's authorization → the value of the answer.
_Answer = Callable[[bytes, str | None], Awaitable[Any]]


def create_app(service: Service, started: str | None = None) -> Starlette:
    """Return the ASGI application of a service.

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
            return _json(200, value())

        return endpoint

    async def show_metrics(request: Request) -> Response:
        return Response(service.metrics.render(), headers={"content-type": metrics.CONTENT_TYPE})

    async def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return _error(
            RequestError(
                "there is nothing at this path and method; see POST /v1/systemone, POST /predict, "
                "GET /v1/models, /health and /metrics",
                status=status,
                kind="not_found",
            )
        )

    return Starlette(
        routes=[
            _posted("/v1/systemone", service, service.decide),
            _posted("/predict", service, service.predict),
            Route("/v1/models", shown(service.list_models)),
            Route("/health", shown(service.health)),
            Route("/metrics", show_metrics),
        ],
        exception_handlers={HTTPException: http_error},
        lifespan=lifespan,
    )


def error_body(error: RequestError) -> bytes:
    """Return the JSON of an error, on one line."""
    details = {key: value for key, value in error.details.items() if key != "answers"}
    body: dict[str, Any] = {"error": {"type": error.kind, "message": str(error), **details}}
    if "answers" in error.details:
        body["answers"] = error.details["answers"]
    return json.dumps(body).encode()


def _posted(path: str, service: Service, answer: _Answer) -> Route:
    async def endpoint(request: Request) -> Response:
        started = time.perf_counter()
        try:
            body = await _read(request)
            value = await answer(body, request.headers.get("authorization"))
            response = _json(200, value)
        except ClientDisconnect:
            # Nobody is there to read it.
            return Response(status_code=400)
        except RequestError as error:
            response = _error(error)
        except EdgeLSTMError as error:
            service.report(str(error))
            response = _error(RequestError(str(error), status=500, kind="model_failed"))
        except Exception as error:
            service.report(f"a request failed: {type(error).__name__}: {first_line(error)}")
            what = "the server failed at this request; its operator sees the reason"
            response = _error(RequestError(what, status=500, kind="internal_error"))
        service.metrics.count("requests_total", path, str(response.status_code))
        service.metrics.time(time.perf_counter() - started)
        return response

    return Route(path, endpoint, methods=["POST"])


def _json(status: int, value: Any) -> Response:
    return Response(json.dumps(value), status_code=status, media_type=JSON_TYPE)


def _error(error: RequestError) -> Response:
    headers = {}
    if "retry_after" in error.details:
        headers["retry-after"] = str(error.details["retry_after"])
    if error.status == 413:
        headers["connection"] = "close"
    return Response(error_body(error), error.status, headers, media_type=JSON_TYPE)


async def _read(request: Request) -> bytes:
    """Return the body of a request. Raises RequestError."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
        elif size > _MOST_READ:
            break
    if size > MAX_BODY_BYTES:
        raise _too_large()
    data = b"".join(parts)
    encoding = request.headers.get("content-encoding")
    return data if encoding is None else _decompressed(data, encoding)


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
