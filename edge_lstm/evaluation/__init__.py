"""Models × labelled texts → how good each model is: metrics, comparisons, a report.

sources.py     what was named → labelled texts
evaluate.py    models and labelled texts → metrics and comparisons
texts.py       what to know of the texts before believing the metrics
summary.py     metrics and comparisons → tables and notes, for the terminal and the page
report.py      the HTML page, and the mistakes as CSV
"""
