"""What the operating system does: files, signals, ends, clocks."""
