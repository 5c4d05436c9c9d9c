"""Data sets, where they come from, and how their samples are varied."""
