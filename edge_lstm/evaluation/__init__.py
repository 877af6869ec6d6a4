"""The evaluation of models on labelled texts: metrics, comparisons, tables.

files.py       files and options → their evaluation
sources.py     named source → labelled texts
one_label.py   measurements of texts with one label each
result.py      the results: metrics of a model, a comparison, the whole evaluation
compare.py     two models on the same texts, paired
evaluate.py    models and labelled texts → metrics and comparisons
report.py      tables and notes, for the terminal; mistakes as CSV
"""
