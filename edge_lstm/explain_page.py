"""An explanation as one HTML page: the text, coloured by what each word or sentence did to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from edge_lstm.atomic import write_atomically
from edge_lstm.explain import Explanation, Part
from edge_lstm.html import page, table

LISTED = 20
_TOWARDS, _AWAY = (37, 99, 168), (217, 119, 43)  # as GOOD and BAD of html.py, for rgba()
_STYLE = """
.reading { font-size: 1.13rem; line-height: 1.9; max-width: 72ch; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.reading span { border-radius: 3px; padding: 1px 0; }
.unread { color: #9aa3b2; }
.unknown { border-bottom: 1px dotted #5d6778; }
.scale { display: inline-block; width: 160px; height: 12px; border-radius: 3px; vertical-align: middle;
  margin: 0 8px; }
.bar { display: inline-block; height: 10px; border-radius: 2px; }
"""


def write_explanation(found: Explanation, path: Path) -> None:
    """Writes the page. Raises OutputError where it cannot be written."""
    write_atomically(explanation_page(found), path)


def explanation_page(found: Explanation) -> str:
    """The page: HTML that loads nothing and runs no script."""
    return page(f"{found.label} {found.probability:.1%}", _body(found), style=_STYLE)


def _body(found: Explanation) -> Iterator[str]:
    yield f"<h1>{escape(found.label)} {found.probability:.1%}</h1>"
    others = ", ".join(f"{escape(name)} {value:.1%}" for name, value in found.probabilities.items())
    yield f'<p class="muted">{others}; status {found.status}. Each {found.by} was left out in turn.</p>'
    away, towards = (f"rgba({r},{g},{b},0.75)" for r, g, b in (_AWAY, _TOWARDS))
    yield (
        f'<p class="muted">away from {escape(found.label)}<span class="scale" style="background:'
        f'linear-gradient(90deg,{away},#fff,{towards})"></span>towards it.{_marks(found)}</p>'
    )
    strongest = max((abs(part.effect) for part in found.parts), default=0.0)
    yield f'<p class="reading">{_reading(found, strongest)}</p>'
    rows = (
        (
            escape(" ".join(part.text.split())),
            f"{part.effect:+.3f}",
            f"{part.probability:.2%}",
            _bar(part, strongest),
        )
        for part in found.strongest(LISTED)
    )
    yield "<h2>What moved the answer most</h2>"
    yield table((found.by, "effect", f"{found.label} without it", ""), rows, numbers=(1, 2))
    yield (
        f'<p class="muted">The effect is the change of the log-odds of {escape(found.label)}: +1 makes it '
        "2.7 times as likely against everything else. It shows what the model reacts to, not why; words "
        "that only work together each show a part of it.</p>"
    )


def _marks(found: Explanation) -> str:
    unknown = any(not part.known for part in found.parts)
    unread = any(not part.read for part in found.parts)
    return (" Dotted: not in the vocabulary." if unknown else "") + (
        " Grey: not read, the text is too long." if unread else ""
    )


def _reading(found: Explanation, strongest: float) -> str:
    pieces, at = [], 0
    for part in found.parts:
        pieces.append(escape(found.text[at : part.start]))
        classes = " ".join(
            name for name, on in (("unread", not part.read), ("unknown", not part.known)) if on
        )
        title = f"effect {part.effect:+.3f}, without it {part.probability:.2%}"
        pieces.append(
            f'<span class="{classes}" style="background:{_tint(part, strongest)}" title="{title}">'
            f"{escape(part.text)}</span>"
        )
        at = part.end
    pieces.append(escape(found.text[at:]))
    return "".join(pieces)


def _tint(part: Part, strongest: float) -> str:
    if not part.effect:
        return "none"
    r, g, b = _TOWARDS if part.effect > 0 else _AWAY
    return f"rgba({r},{g},{b},{0.75 * abs(part.effect) / strongest:.3f})"


def _bar(part: Part, strongest: float) -> str:
    width = 180 * abs(part.effect) / strongest
    return f'<span class="bar" style="width:{width:.0f}px;background:{_tint(part, abs(part.effect))}"></span>'
