"""Checks of a device: whether it runs a model, and runs it right.

checks.py      the checks, the verdict, the advice; standard library only
engines.py     the comparison of both engines
probe.py       trials in a child process: the imports, a model file, its golden rows
"""
