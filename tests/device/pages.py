"""A report as a parser reads it."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """A page's text, its tags, what it refers to; its elements must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.references: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        linked = ("src", "href", "xlink:href")
        outside = [f"{v}" for k, v in attrs if k in linked or (k == "style" and "url" in f"{v}")]
        self.references += [value for value in outside if not value.startswith("#")]
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def loads_and_runs_nothing(self) -> bool:
        return not self.references and not {"script", "link", "img", "iframe", "metadata"} & set(
            self.tags
        )
