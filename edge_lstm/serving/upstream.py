"""The service behind, which answers what the files hand back: System One or the Decisions API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edge_lstm.errors import DataError, RequestError, first_line
from edge_lstm.extras import needs
from edge_lstm.printable import json_text, well_formed
from edge_lstm.serving import decisions_api
from edge_lstm.serving.protocol import (
    NO_TOKENS,
    REPLY,
    AskedQuestion,
    Decision,
    option_of,
    parse_json,
)

if TYPE_CHECKING:
    import httpx

PATH = "/v1/systemone"

_MOST_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Reply:
    """The upstream's answers.

    model: its name for its model.
    answers: by question, as System One has them. A question that the upstream refused has none.
    chosen: by question: the place of the option, and its probability if the answer has one.
    usage: as it came.
    """

    model: str
    answers: dict[str, Any]
    chosen: dict[str, tuple[int, float | None]]
    usage: Any


class Upstream:
    """A client of the upstream. Only what a client of this server asks is sent there."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Set up the client; nothing is sent yet.

        url: of the service. One that ends with the path of the Decisions API speaks that; another
            one speaks System One, with or without PATH.
        seconds: a request may take so long.
        transport: instead of the network, for tests.

        Raises DataError for another URL than of http or https.
        """
        self.url = endpoint(url)
        self._is_openai = self.url.endswith(decisions_api.PATH)
        self._seconds = seconds
        with needs("serve", "--upstream"):
            import httpx
        self._errors = httpx.HTTPError
        # A redirect is not followed: the key is for this address only.
        self._client = httpx.AsyncClient(
            timeout=seconds,
            transport=transport,
            limits=httpx.Limits(max_connections=100),
        )

    async def ask(
        self, decision: Decision, questions: Sequence[AskedQuestion], authorization: bytes | None
    ) -> Reply:
        """Ask the upstream some of a request's questions. It gets nothing else of the request.

        authorization: the client's own header; None if it sent none.

        Raises RequestError: of the upstream's status if the client is to blame, else 503.
        """
        if self._is_openai:
            body = decisions_api.write_request(decision, questions)
        else:
            body = {
                "state": decision.state,
                "questions": {each.name: each.raw for each in questions},
            }
        if decision.model is not None:
            body["model"] = decision.model
        # A few compressed bytes may be gigabytes.
        headers = {b"content-type": b"application/json", b"accept-encoding": b"identity"}
        if authorization is not None:
            headers[b"authorization"] = authorization
        content = well_formed(json_text(body)).encode()
        try:
            # A reply that trickles in keeps each wait of the client short.
            status, data, reply_headers = await asyncio.wait_for(
                self._post(content, headers), self._seconds
            )
        except (asyncio.TimeoutError, TimeoutError):
            raise _unavailable(f"it gave no answer in {self._seconds:g} s", "timeout") from None
        except self._errors as error:
            reason = first_line(error)
            raise _unavailable(f"it cannot be reached ({reason})", "unreachable") from None
        # These statuses are about the client's request or key: the client gets them as they are.
        if status in (400, 401, 402, 403, 404, 413, 422, 429):
            raise _refusal(status, data, reply_headers)
        if status != 200:
            raise _unavailable(f"it answered with status {status}", f"status_{status}")
        return _reply(data, questions, self._is_openai)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(
        self, content: bytes, headers: dict[bytes, bytes]
    ) -> tuple[int, bytes, Mapping[str, str]]:
        request = self._client.stream("POST", self.url, content=content, headers=headers)
        data = b""
        async with request as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise _unavailable("its answer is compressed", "compressed")
            async for part in response.aiter_bytes():
                data += part
                if len(data) > _MOST_BYTES:
                    raise _unavailable("its answer is too long", "too_long")
            return response.status_code, data, response.headers


def endpoint(url: str) -> str:
    """Return the address of the interface. Raises DataError."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable:
        raise DataError(f"--upstream {url} is not the URL of a service; write https://HOST")
    path = parts.path.rstrip("/")
    if not path.endswith(decisions_api.PATH):
        path = path.removesuffix(PATH).rstrip("/") + PATH
    return parts._replace(path=path).geturl()


def _reply(data: bytes, questions: Sequence[AskedQuestion], is_openai: bool) -> Reply:
    """Return the upstream's answers. Raises RequestError if one is missing or of another shape."""
    try:
        body = parse_json(data, REPLY)
    except RequestError:
        raise _unavailable("its answer is not JSON", "not_json") from None
    answers = {}
    chosen = {}
    try:
        given = decisions_api.read_answers(questions, body) if is_openai else body["answers"]
        for question in questions:
            answer = given[question.name]
            if answer != decisions_api.REFUSAL:
                chosen[question.name] = option_of(question, answer)
                answers[question.name] = answer
    except (KeyError, TypeError, ValueError) as error:
        raise _unavailable(f"its answer has the wrong shape: {error}", "shape") from None
    model = body.get("model")
    return Reply(
        model if isinstance(model, str) else "", answers, chosen, body.get("usage") or NO_TOKENS
    )


def _unavailable(what: str, reason: str) -> RequestError:
    return RequestError(
        f"the upstream is needed, and {what}; try again later",
        status=503,
        kind="upstream_unavailable",
        details={"reason": reason},
    )


def _refusal(status: int, data: bytes, headers: Mapping[str, str]) -> RequestError:
    try:
        said = parse_json(data, REPLY)
    except RequestError:
        said = None
    details: dict[str, Any] = {"reason": f"status_{status}", "upstream": said}
    later = headers.get("retry-after", "")
    if re.fullmatch("[ -~]+", later):
        details["retry_after"] = later
    return RequestError(
        f"the upstream refused the request with status {status}; see its own words in upstream",
        status=status,
        kind="upstream_refused",
        details=details,
    )
