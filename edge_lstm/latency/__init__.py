"""How fast a machine answers: measure, summarise, report.

settings → measure (steady state, a recording for each setting) and cold_start (fresh processes) →
result, the
JSON that everything else reads: report (tables, HTML).

Nothing is imported here: :mod:`edge_lstm.latency.cold_start` times how long imports take.
"""
