"""``edge-lstm serve``: answers over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from edge_lstm.cli.options import ModelArguments, option
from edge_lstm.cli.streams import say

_MODELS = (
    "Model file, with the name of its question, as in team=team.onnx. Repeat it for several.  "
    "[default: the embedded model; none with --upstream]"
)
_ABSTAIN = (
    "Hand back unsure answers, so that at most this share of the rest is wrong, such as 0.02.  "
    "[default: the model file's]"
)
_UNFAMILIAR = (
    "Hand back unfamiliar texts, those unlike the training texts, and at most this share of the "
    "others."
)
_ENGINE = "As in predict.  [default: EDGE_LSTM_ENGINE, else native if it is installed]"


def command(
    files: ModelArguments = None,
    model: Annotated[list[str] | None, option("[NAME=]FILE", _MODELS, "--model", "-m")] = None,
    host: Annotated[str, option("ADDRESS", "Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, option("PORT", "Port to listen on; 0 for a free one.", min=0, max=65535)
    ] = 8000,
    abstain: Annotated[float | None, option("SHARE", _ABSTAIN)] = None,
    unfamiliar: Annotated[float | None, option("SHARE", _UNFAMILIAR)] = None,
    upstream: Annotated[
        str | None,
        option(
            "URL",
            "The upstream, which answers what is handed back: a System One service (https://HOST) "
            "or a Decisions API (https://HOST/v1/decisions).",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        option(
            "FILE", "Append the upstream's answers and their texts to this JSONL file, for train."
        ),
    ] = None,
    shadow: Annotated[
        float,
        option(
            "SHARE",
            "Share of sure answers for which the upstream is asked too, to detect drift.",
            min=0,
            max=1,
        ),
    ] = 0.0,
    timeout: Annotated[
        float, option("SECONDS", "Seconds to wait for the upstream's answer.", min=0.1, max=3600)
    ] = 10.0,
    engine: Annotated[str | None, option("NAME", _ENGINE)] = None,
) -> None:
    """Answer questions about texts over HTTP.

    The server offers POST /v1/systemone, POST /v1/decisions, POST /predict, GET /v1/models, /health
    and /metrics (Prometheus).

    System One is an interface for decisions: a client sends a text and questions about it, and gets
    answers with probabilities. A question is a choice of named options, a score on levels, or a
    noul, whose answer is the probability of yes. /v1/decisions takes the same questions in the form
    of OpenAI's Decisions API.

    Each question is answered by the file that has its name and its options. With --upstream, all
    other questions are handed back, and so are unsure answers: the upstream, the service at URL,
    answers them, and gets the client's own Authorization header. Without --upstream, nothing is
    sent anywhere.

    If a model file changes, the running server loads the new one. If that is damaged, the server
    keeps using the old one.

    Examples:

        edge-lstm serve team=team.onnx urgent=urgent.onnx --abstain 0.02

        edge-lstm serve --upstream https://HOST --log decisions.jsonl
    """
    from edge_lstm.cli.questions import parse_models
    from edge_lstm.core.engine import chosen_engine, fastest_engine
    from edge_lstm.core.modelfile import EMBEDDED, model_path
    from edge_lstm.errors import DataError
    from edge_lstm.extras import check_installed
    from edge_lstm.system.atomic import check_distinct

    check_installed("serve", "'serve'")
    from edge_lstm.serving.log import DecisionLog
    from edge_lstm.serving.models import Models, Settings
    from edge_lstm.serving.server import listen, serve
    from edge_lstm.serving.service import HandBack, Service
    from edge_lstm.serving.upstream import Upstream

    if upstream is None and (log is not None or shadow):
        raise DataError("--log and --shadow are about the upstream's answers; add --upstream URL")
    given = [*(files or ()), *(model or ())]
    named = parse_models(given or ([EMBEDDED] if upstream is None else []), by_file=True)
    paths = {name: model_path(path) for name, path in named.items()}
    check_distinct([] if log is None else [log], paths.values())
    settings = Settings(chosen_engine(engine, fastest_engine()), abstain, unfamiliar)
    served = Models(paths, settings)
    hand_back = None
    if upstream is not None:
        client = Upstream(upstream, seconds=timeout)
        kept = None if log is None else DecisionLog(log)
        if kept is not None and kept.is_public:
            say(f"note: every user of this machine can read {log}; chmod 600 {log} changes that")
        hand_back = HandBack(client, kept, shadow)
        for name, each in served.served.items():
            if each.is_always_sure:
                say(f"note: {name} never hands back an answer; --abstain SHARE makes it do so")
    service = Service(served, hand_back, report=say)
    listening = listen(host, port)
    for facts in service.list_models()["models"]:
        say(f"{facts['name']}: {facts['description']}")
    try:
        serve(service, listening, timeout)
    except KeyboardInterrupt:
        # The server has answered what was under way: an ordinary end.
        say("ended")
