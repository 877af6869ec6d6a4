"""Teachers, which label texts without labels: see base.py."""
