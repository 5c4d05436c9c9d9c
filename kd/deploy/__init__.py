"""Trained students as programs: ONNX, int8 and C. Imports `kd.data`, `kd.distil`, `kd.students` and `space`."""
