"""Sparse training inside the trainers of others: `hugging_face` and `lightning`.

Each module needs its framework and is imported by name, such as
``from tnm_core.torch.trainers.hugging_face import SparseTrainingCallback``.
"""
