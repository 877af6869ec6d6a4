"""Answers over HTTP, as System One and the Decisions API, with hand-back of what no file knows.

``protocol.py`` reads requests and writes answers, ``decisions_api.py`` does so in the other
dialect, ``models.py`` holds the files and takes over changed ones, ``batching.py`` joins requests
that come at once, ``log.py`` writes the log of decisions, ``upstream.py`` asks the service behind,
``metrics.py`` counts. ``service.py`` joins them, ``app.py`` speaks HTTP; ``server.py`` alone knows
uvicorn.
"""
