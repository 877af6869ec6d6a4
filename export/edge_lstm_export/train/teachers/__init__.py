"""What labels texts beside the rows: see base.py."""
