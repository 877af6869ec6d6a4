"""Answers over HTTP: the System One interface, with hand-back of what the files do not know.

``protocol.py`` reads requests and writes answers, ``models.py`` holds the files and takes over
changed ones, ``batching.py`` joins requests that come at once, ``decisions.py`` writes the log,
``upstream.py`` asks the service behind, ``metrics.py`` counts. ``service.py`` joins them,
``app.py`` speaks HTTP; ``server.py`` alone knows uvicorn.
"""
