"""Machines made of files: what /proc, /sys and /etc of another one say."""

from pathlib import Path


def files(root: Path, contents: dict[str, str]) -> Path:
    """Write files below the root → the root."""
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
