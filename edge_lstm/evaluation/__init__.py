"""Models × labelled texts → how good each model is: figures, comparisons, a report.

sources.py     what was named → labelled texts
evaluate.py    texts and models → figures and comparisons
texts.py       what to know of the texts before believing them
report.py      the HTML page
mistakes.py    what was judged wrongly, for a person to correct
"""
