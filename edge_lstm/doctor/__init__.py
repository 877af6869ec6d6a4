"""Does this device run a model, and run it right?

checks.py      the checks, the verdict, what to do; standard library only
engines.py     whether both engines give the same answers
probe.py       what is tried in a child process: the imports, a model file, its golden rows
"""
