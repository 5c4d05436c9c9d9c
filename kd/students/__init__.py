"""Trained students: their file, evaluation, ONNX export, results and verification."""
