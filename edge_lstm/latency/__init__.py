"""How fast a machine answers: measure, summarise, report, compare.

plan → measure (steady state) and cold (fresh processes) → document, the JSON that everything else
reads: table (terminal), report (HTML), compare (release gate), remote (a device over ssh).

Nothing is imported here: :mod:`edge_lstm.latency.cold` times how long imports take.
"""
