"""Trained students as programs: ONNX, int8 and C. Of `kd` it imports all but `kd.teachers` and `kd.measure`."""
