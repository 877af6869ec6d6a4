"""A teacher for small networks: it labels texts, so that a student can learn from them.

Only the student is deployed, so the teacher may be large: NB-SVM over 1-3-grams (nbsvm.py) reads
punctuation and a million n-grams, and learns in seconds. Document vectors (Thongtan & Phienthrakul,
2019) were tried beside it and left out: blended with honest folds they label no better than it alone
(91.9 % against 91.9 % on IMDB's training split), at ten times the time. A pretrained transformer
(transformer.py) knows words that no training text holds, and negation: it labels spans of texts too. It
comes from a folder or the hub (hub.py); an encoder learns first (fine_tuning.py, of short texts tuned.py,
of few also frozen.py); what it says of texts is kept (answers.py).
"""

from edge_lstm_export.teacher.kept import (
    check_kept,
    keep_labels,
    kept_labels,
    kept_spans,
    kept_split_seed,
)
from edge_lstm_export.teacher.labels import SoftLabels, accuracy_of, adds, blend_weights, blended
from edge_lstm_export.teacher.nbsvm import TEACHER_VERSION, TeacherOptions, can_learn, soft_labels

__all__ = [
    "TEACHER_VERSION",
    "SoftLabels",
    "TeacherOptions",
    "accuracy_of",
    "adds",
    "blend_weights",
    "blended",
    "can_learn",
    "check_kept",
    "keep_labels",
    "kept_labels",
    "kept_spans",
    "kept_split_seed",
    "soft_labels",
]
