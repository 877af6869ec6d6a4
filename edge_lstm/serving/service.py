"""Requests in, answers out: the files give the sure answers, the upstream the others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_lstm._version import __version__
from edge_lstm.errors import OutputError, RequestError, first_line
from edge_lstm.printable import listed, shorten
from edge_lstm.serving import decisions_api, protocol
from edge_lstm.serving.batching import Batcher
from edge_lstm.serving.log import Because, DecisionLog
from edge_lstm.serving.metrics import Metrics
from edge_lstm.serving.models import Answer, Asked, Models
from edge_lstm.serving.protocol import AskedQuestion, Decision
from edge_lstm.serving.upstream import Reply, Upstream

# The name of the model in an answer of the files alone.
MODEL = "edge-lstm"

_NO_REPLY = Reply(MODEL, {}, {}, protocol.NO_TOKENS)

# Counts a question that no file has: clients name questions as they like.
OTHER = "other"


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
        sure, because = await self._ask_files(decision)
        others = [each for each in decision.questions if each.name not in sure]
        compared = self._to_compare(decision, sure)
        if not others:
            if compared:
                self._compare_later(decision, compared, sure, because, authorization)
            return _body(decision, sure, _NO_REPLY)
        reply = await self._ask_upstream(decision, [*others, *compared], sure, authorization)
        for question in others:
            source = "upstream" if question.name in reply.answers else "refused"
            self.metrics.count("answers_total", self._counted_as(question), source)
        self._keep(decision, reply, because)
        return _body(decision, sure, reply)

    async def predict(self, data: bytes, authorization: bytes | None) -> dict[str, Any]:
        """Answer ``POST /predict``: for each text, what each file says. Raises RequestError."""
        texts = protocol.parse_texts(data)
        names = frozenset(self.models.served)
        for text in texts:
            self.models.check(text, names)
        asked = [Asked(protocol.text_of(text), text) for text in texts]
        found = await asyncio.gather(*[self._batcher.submit(each, names) for each in asked])
        return {
            "predictions": [
                {name: each.prediction.to_json() for name, each in answers.items()}
                for answers in found
            ]
        }

    def list_models(self) -> dict[str, Any]:
        """Answer ``GET /v1/models``: the question that each file answers."""
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
        return {"models": models}

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

    async def _ask_files(self, decision: Decision) -> tuple[dict[str, Any], dict[str, Because]]:
        """Return the sure answers, and why the upstream may be asked, both by question."""
        served = self.models.served
        names = frozenset(each.name for each in decision.questions if each.name in served)
        found: dict[str, Answer] = {}
        if names:
            self.models.check(decision.row, names)
            found = await self._batcher.submit(Asked(decision.text, decision.row), names)
        sure = {}
        because = {}
        for question in decision.questions:
            answer = found.get(question.name)
            kind = None if answer is None else answer.model.kind
            columns = None if kind is None else protocol.columns_of(question, kind)
            if answer is None or kind is None or columns is None:
                if self._hand_back is None:
                    raise self._foreign(question)
                because[question.name] = Because("no file")
                continue
            prediction = answer.prediction
            ((best, _),) = prediction.top(1)
            self.metrics.count("labels_total", question.name, best)
            self.metrics.count("statuses_total", question.name, prediction.status)
            if answer.is_sure:
                self.metrics.count("answers_total", question.name, "file")
                sure[question.name] = protocol.answer(question, columns, prediction)
            because[question.name] = self._because(answer)
        return sure, because

    def _because(self, answer: Answer) -> Because:
        ((label, probability),) = answer.prediction.top(1)
        why: str = answer.prediction.status
        chance = 1.0
        if answer.is_sure:
            why = "shadow"
            chance = 0.0 if self._hand_back is None else self._hand_back.shadow
        return Because(why, chance, label, round(probability, 6), answer.model.sha256)

    def _foreign(self, question: AskedQuestion) -> RequestError:
        known = [f"{each['name']} ({each['description']})" for each in self.list_models()["models"]]
        return RequestError(
            f"no file answers the {question.type} {shorten(question.name)} with these options; "
            f"ask {listed(known)}",
            kind="unknown_question",
        )

    async def _ask_upstream(
        self,
        decision: Decision,
        asked: Sequence[AskedQuestion],
        sure: dict[str, Any],
        authorization: bytes | None,
    ) -> Reply:
        """Ask the upstream. Raises RequestError, with the sure answers for the client."""
        if self._hand_back is None:
            return _NO_REPLY
        try:
            return await self._hand_back.upstream.ask(decision, asked, authorization)
        except RequestError as error:
            if "reason" in error.details:
                self.metrics.count("upstream_failures_total", str(error.details["reason"]))
            details = {
                **error.details,
                "questions": [each.name for each in asked if each.name not in sure],
                "answers": sure,
            }
            raise RequestError(
                str(error), status=error.status, kind=error.kind, details=details
            ) from None

    def _to_compare(self, decision: Decision, sure: dict[str, Any]) -> list[AskedQuestion]:
        """Return the questions with a sure answer, for the share of requests that is compared."""
        if self._hand_back is None or random.random() >= self._hand_back.shadow:
            return []
        return [question for question in decision.questions if question.name in sure]

    def _compare_later(
        self,
        decision: Decision,
        compared: Sequence[AskedQuestion],
        sure: dict[str, Any],
        because: dict[str, Because],
        authorization: bytes | None,
    ) -> None:
        """Compare in a task of its own, so that the client does not wait."""

        async def compare() -> None:
            try:
                reply = await self._ask_upstream(decision, compared, sure, authorization)
            except RequestError:
                return
            self._keep(decision, reply, because)

        # Of more requests at once, the comparison is left out.
        if len(self._shadows) < 16:
            task = asyncio.get_running_loop().create_task(compare())
            self._shadows.add(task)
            task.add_done_callback(self._shadows.discard)

    def _keep(self, decision: Decision, reply: Reply, because: dict[str, Because]) -> None:
        """Count the upstream's answers to sure questions, and write all to the log."""
        labels = {}
        for question in decision.questions:
            if question.name not in reply.chosen:
                continue
            option, probability = reply.chosen[question.name]
            label = self._labels_of(question)[option]
            labels[question.name] = (label, probability)
            reason = because[question.name]
            if reason.why == "shadow":
                self.metrics.count("shadow_total", question.name)
                if reason.label != label:
                    self.metrics.count("shadow_disagreements_total", question.name)
        if self._hand_back is None or self._hand_back.log is None or not labels:
            return
        try:
            asked = {name: because[name] for name in labels}
            self._hand_back.log.write(
                decision.text,
                labels,
                model=reply.model,
                because=asked,
                state=decision.state,
            )
            self._is_log_broken = False
        except OutputError as error:
            # A full disk stops no answer.
            self.metrics.count("log_failures_total")
            if not self._is_log_broken:
                self.report(f"{error}; answers go on without the log")
            self._is_log_broken = True

    def _labels_of(self, question: AskedQuestion) -> tuple[str, ...]:
        model = self.models.served.get(question.name)
        return protocol.labels_of(question, None if model is None else model.kind)

    def _counted_as(self, question: AskedQuestion) -> str:
        return question.name if question.name in self.models.served else OTHER


def _body(decision: Decision, sure: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """Return the body of an answer, its answers in the order of the questions."""
    answers = {**reply.answers, **sure}
    return {
        "model": reply.model,
        "answers": {
            each.name: answers[each.name] for each in decision.questions if each.name in answers
        },
        "usage": reply.usage,
    }
