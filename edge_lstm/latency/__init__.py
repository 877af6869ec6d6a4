"""How fast a machine answers: measure, summarise, report.

settings.py       the models, each way they are run, for how long, on which texts
measure.py        the steady state: blocks of texts, settings in random turns
cold_start.py     start of a process and memory, in fresh processes
energy.py         energy per text, from a meter
conditions.py     the machine's state, and warnings about the times
recording.py      the times of one setting, block by block
statistics.py     percentiles, intervals, ratios
result.py         the result, and its JSON
report.py         tables and the HTML page

Nothing is imported here: :mod:`edge_lstm.latency.cold_start` times how long imports take.
"""
