"""The version, said once: the package, its files and its distribution read it from here."""

__version__ = "1.0.0rc1"
