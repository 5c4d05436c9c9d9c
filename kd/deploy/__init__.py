"""Trained students as programs without a framework: int8 and C. Imports `kd.data`, `kd.students` and `space`."""
