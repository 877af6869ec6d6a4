"""A teacher for small networks: it labels texts, so that a student can learn from them.

Only the student is deployed, so the teacher may be large. It is a blend of two models over 1-3-grams
that learn in minutes on a CPU: NB-SVM (nbsvm.py) and document vectors (vectors.py).
"""

from edge_lstm_export.teacher.blend import SoftLabels, TeacherOptions, soft_labels

__all__ = ["SoftLabels", "TeacherOptions", "soft_labels"]
