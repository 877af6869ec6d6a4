"""Requests in, answers out: the files give the sure answers, the upstream the others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from edge_lstm._version import __version__
from edge_lstm.errors import OutputError, RequestError, first_line
from edge_lstm.printable import listed, shorten
from edge_lstm.serving import decisions_api, protocol
from edge_lstm.serving.batching import Batcher
from edge_lstm.serving.log import SHADOW, Because, DecisionLog
from edge_lstm.serving.metrics import Metrics
from edge_lstm.serving.models import Answer, Models
from edge_lstm.serving.protocol import AskedQuestion, Decision
from edge_lstm.serving.upstream import Reply, Upstream

# The name of the model in an answer of the files alone.
MODEL = "edge-lstm"

_NO_REPLY = Reply(MODEL, {}, {}, protocol.NO_TOKENS)

# With more requests at once, a comparison is left out.
_MOST_SHADOWS = 16

# Counts a question that no file has: clients name questions as they like.
OTHER = "other"


@dataclass(frozen=True)
class _Found:
    """A question of a request, and what its file says.

    labels: of the options, for the log.
    because: why the upstream may be asked.
    sure: the answer for the client; None if the file has none.
    """

    question: AskedQuestion
    labels: tuple[str, ...]
    because: Because
    sure: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The question's."""
        return self.question.name


@dataclass(frozen=True)
class HandBack:
    """How questions are handed back.

    upstream: answers them.
    log: of its answers; None for none.
    shadow: a share of the sure answers; the upstream is asked for them too, to compare.
    """

    upstream: Upstream
    log: DecisionLog | None = None
    shadow: float = 0.0


class Service:
    """The server without HTTP: bodies and headers in, JSON values out."""

    def __init__(
        self,
        models: Models,
        hand_back: HandBack | None = None,
        *,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Set up a service.

        hand_back: None: no question leaves this machine.
        report: takes a line for the person who runs the server.
        """
        self.models = models
        self.metrics = Metrics()
        self.report = report
        self._hand_back = hand_back
        self._shadow = 0.0 if hand_back is None else hand_back.shadow
        self._batcher = Batcher(models.classify)
        self._shadows: set[asyncio.Task[None]] = set()
        self._is_log_broken = False

    async def decide(self, data: bytes, authorization: bytes | None) -> dict[str, Any]:
        """Answer ``POST /v1/systemone``.

        data: the body.
        authorization: the client's header, for the upstream.

        Raises RequestError.
        """
        decision = protocol.read_decision(protocol.parse_json(data))
        body = await self._decide(decision, authorization)
        answers = body["answers"]
        missing = [each.name for each in decision.questions if each.name not in answers]
        if missing:
            raise RequestError(
                "the files are not sure, and no upstream answers; start the server with "
                "--upstream, or ask another question",
                status=503,
                kind="not_sure",
                details={"questions": missing, "answers": answers},
            )
        return body

    async def decide_openai(self, data: bytes, authorization: bytes | None) -> dict[str, Any]:
        """Answer ``POST /v1/decisions``. Arguments and errors as in ``decide``."""
        body = decisions_api.read_body(protocol.parse_json(data))
        decision = protocol.read_decision(body)
        return decisions_api.write_body(decision, await self._decide(decision, authorization))

    async def _decide(self, decision: Decision, authorization: bytes | None) -> dict[str, Any]:
        """Return the body of an answer. It lacks the answers that nobody gives."""
        found = await self._ask_files(decision)
        sure = {each.name: each.sure for each in found if each.sure is not None}
        unsure = [each for each in found if each.sure is None]
        # Of a share of the requests, the sure answers are compared with the upstream's.
        is_compared = random.random() < self._shadow
        asked = found if is_compared else unsure
        reply = _NO_REPLY
        if unsure:
            try:
                reply = await self._ask_upstream(decision, asked, authorization)
            except RequestError as error:
                names = [each.name for each in unsure]
                error.details = {**error.details, "questions": names, "answers": sure}
                raise
            for each in unsure:
                source = "upstream" if each.name in reply.answers else "refused"
                counted = each.name if each.name in self.models.served else OTHER
                self.metrics.count("answers_total", counted, source)
        elif is_compared and len(self._shadows) < _MOST_SHADOWS:
            # In a task of its own, so that the client does not wait.
            comparing = self._ask_upstream(decision, asked, authorization)
            task = asyncio.get_running_loop().create_task(_ignoring_refusals(comparing))
            self._shadows.add(task)
            task.add_done_callback(self._shadows.discard)
        answers = {**reply.answers, **sure}
        in_order = {each.name: answers[each.name] for each in found if each.name in answers}
        return {"model": reply.model, "answers": in_order, "usage": reply.usage}

    async def predict(self, data: bytes, authorization: bytes | None) -> dict[str, Any]:
        """Answer ``POST /predict``: for each text, what each file says. Raises RequestError."""
        texts = protocol.parse_texts(data)
        names = frozenset(self.models.served)
        for text in texts:
            self.models.check(text, names)
        found = await asyncio.gather(*[self._batcher.submit(text, names) for text in texts])
        return {
            "predictions": [
                {name: each.prediction.to_json() for name, each in answers.items()}
                for answers in found
            ]
        }

    def list_models(self) -> dict[str, Any]:
        """Answer ``GET /v1/models``: the question that each file answers.

        The same files stand under ``data`` as OpenAI's clients read them.
        """
        models = []
        for name, model in self.models.served.items():
            labels = model.classifier.labels
            kind = "several labels" if model.kind is None else model.kind.type
            models.append(
                {
                    "name": name,
                    "description": f"{kind}: {listed([shorten(label) for label in labels])}",
                    "release_date": model.date,
                    "type": kind,
                    "labels": list(labels),
                    "sha256": model.sha256,
                }
            )
        data = [
            {"id": each["name"], "object": "model", "created": 0, "owned_by": MODEL}
            for each in models
        ]
        return {"object": "list", "data": data, "models": models}

    def health(self) -> dict[str, Any]:
        """Answer ``GET /health``."""
        return {"status": "ok", "version": __version__, "questions": list(self.models.served)}

    async def refresh(self) -> None:
        """Take over model files that were changed."""
        try:
            changes = await asyncio.to_thread(self.models.refresh)
        except Exception as error:
            # The server goes on with the files that it has, and looks again.
            self.report(f"cannot look for changed model files: {first_line(error)}")
            return
        for name, refused in changes:
            self.metrics.count("reloads_total", name, "refused" if refused else "taken")
            if refused is None:
                self.report(f"{name}: took over the changed {self.models.served[name].path}")
            else:
                self.report(f"{name}: the changed file is refused, the old one goes on: {refused}")

    async def watch(self) -> None:
        """Look for changed model files until the task is cancelled."""
        while True:
            await asyncio.sleep(1.0)
            await self.refresh()

    async def close(self) -> None:
        """Wait for comparisons under way, and close connections and log."""
        await asyncio.gather(*self._shadows, return_exceptions=True)
        if self._hand_back is not None:
            await self._hand_back.upstream.close()
            if self._hand_back.log is not None:
                self._hand_back.log.close()

    async def _ask_files(self, decision: Decision) -> list[_Found]:
        """Return what the files say to each question."""
        served = self.models.served
        names = frozenset(each.name for each in decision.questions if each.name in served)
        answers: dict[str, Answer] = {}
        if names:
            self.models.check(decision.text, names)
            answers = await self._batcher.submit(decision.text, names)
        return [self._found(each, answers.get(each.name)) for each in decision.questions]

    def _found(self, question: AskedQuestion, answer: Answer | None) -> _Found:
        name = question.name
        columns = None
        if answer is not None and answer.model.kind is not None:
            columns = protocol.columns_of(question, answer.model.kind)
        if answer is None or columns is None:
            if self._hand_back is None:
                raise self._foreign(question)
            return _Found(question, protocol.usual_labels(question), Because("no file"))
        prediction = answer.prediction
        ((best, highest),) = prediction.top(1)
        self.metrics.count("labels_total", name, best)
        self.metrics.count("statuses_total", name, prediction.status)
        labels = tuple(answer.model.classifier.labels[column] for column in columns)
        because = Because(prediction.status, 1.0, best, round(highest, 6), answer.model.sha256)
        if not answer.is_sure:
            return _Found(question, labels, because)
        self.metrics.count("answers_total", name, "file")
        because = replace(because, why=SHADOW, chance=self._shadow)
        return _Found(question, labels, because, protocol.answer(question, columns, prediction))

    def _foreign(self, question: AskedQuestion) -> RequestError:
        known = [f"{each['name']} ({each['description']})" for each in self.list_models()["models"]]
        return RequestError(
            f"no file answers the {question.type} {shorten(question.name)} with these options"
            f"{self._misfit(question)}; ask {listed(known)}",
            kind="unknown_question",
        )

    def _misfit(self, question: AskedQuestion) -> str:
        """Return which options of a choice its file does not have, and which it has besides."""
        served = self.models.served.get(question.name)
        if served is None or served.kind is None or question.type != protocol.CHOICE:
            return ""
        labels = served.kind.labels
        odd = {
            "missing": [label for label in labels if label not in question.options],
            "too many": [option for option in question.options if option not in labels],
        }
        said = [
            f"{what}: {listed([shorten(name) for name in names], most=len(names))}"
            for what, names in odd.items()
            if names
        ]
        return f" ({'; '.join(said)})" if said else ""

    async def _ask_upstream(
        self, decision: Decision, asked: Sequence[_Found], authorization: bytes | None
    ) -> Reply:
        """Ask the upstream, and keep its answers. Raises RequestError."""
        if self._hand_back is None:
            return _NO_REPLY
        questions = [each.question for each in asked]
        try:
            reply = await self._hand_back.upstream.ask(decision, questions, authorization)
        except RequestError as error:
            if "reason" in error.details:
                self.metrics.count("upstream_failures_total", str(error.details["reason"]))
            raise
        self._keep(decision, reply, asked)
        return reply

    def _keep(self, decision: Decision, reply: Reply, asked: Sequence[_Found]) -> None:
        """Count the upstream's answers to sure questions, and write all to the log."""
        labels = {}
        for each in asked:
            if each.name not in reply.chosen:
                continue
            option, probability = reply.chosen[each.name]
            labels[each.name] = (each.labels[option], probability)
            if each.sure is not None:
                self.metrics.count("shadow_total", each.name)
                if each.because.label != each.labels[option]:
                    self.metrics.count("shadow_disagreements_total", each.name)
        log = None if self._hand_back is None else self._hand_back.log
        if log is None or not labels:
            return
        because = {each.name: each.because for each in asked if each.name in labels}
        try:
            log.write(
                decision.text, labels, model=reply.model, because=because, state=decision.state
            )
            self._is_log_broken = False
        except OutputError as error:
            # A full disk stops no answer.
            self.metrics.count("log_failures_total")
            if not self._is_log_broken:
                self.report(f"{error}; answers go on without the log")
            self._is_log_broken = True


async def _ignoring_refusals(comparing: Awaitable[Reply]) -> None:
    """Wait for a comparison: nobody but the metrics learns that the upstream did not answer."""
    with suppress(RequestError):
        await comparing
