"""Standard streams: any encoding, closed or full, and nothing that steers a terminal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.printable import printable, to_json

# characters() leaves out surrogates unless told otherwise.
ANY = st.text(st.characters(codec=None) | st.characters(categories=["Cs", "Cc", "Cf"]))


@given(ANY)
def test_what_is_printed_of_any_name_is_one_line_that_steers_no_terminal(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert shown == name or not name.isprintable()


@given(ANY)
def test_json_keeps_every_text_and_steers_no_terminal(text: str) -> None:
    encoded = to_json({"text": text}, indent=2)
    # As UTF-16: JSON has one escape for a pair of lone surrogates and for the character that they
    # make.
    utf16 = (
        value.encode("utf-16", "surrogatepass") for value in (json.loads(encoded)["text"], text)
    )
    assert len({*utf16}) == 1
    assert all(line.isprintable() for line in encoded.split("\n"))
