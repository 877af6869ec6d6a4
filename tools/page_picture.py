"""Takes the picture of the page for the documentation: docs/images/page.png. Needs Chromium.

python tools/page_picture.py [MODEL]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from edge_lstm.live_page import build_page  # noqa: E402
from edge_lstm.modelfile import open_model  # noqa: E402
from tests.ports.chromium import Chromium  # noqa: E402

TEXT = (
    "I loved this film. The plot is clever, the actors are brilliant, and the end is moving. Only the music "
    "was a little dull."
)


def main() -> None:
    """Types a text into the page and takes its picture."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "page.html"
        page.write_text(build_page(open_model(*sys.argv[1:])), encoding="utf-8")
        with Chromium(Path(folder) / "profile") as browser:
            browser.look(780, 760)
            browser.send("Emulation.setScrollbarsHidden", hidden=True)
            browser.open(page.as_uri())
            browser.run("document.getElementById('text').select()")
            browser.type(TEXT)
            browser.wait("document.getElementById('strongest').textContent.includes('Strongest')")
            time.sleep(0.5)
            target = PROJECT / "docs" / "images" / "page.png"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(browser.picture())


if __name__ == "__main__":
    main()
