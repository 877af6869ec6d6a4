"""Models × labelled texts → how good each model is: metrics, comparisons, a report.

sources.py     what was named → labelled texts
evaluate.py    models and labelled texts → metrics and comparisons
report.py      tables and notes, for the terminal and the page; the HTML page; the mistakes as CSV
"""
