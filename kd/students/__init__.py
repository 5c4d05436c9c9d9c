"""Trained students: their file, evaluation, results and verification."""
