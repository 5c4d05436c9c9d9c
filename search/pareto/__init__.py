"""Two objectives at once: fronts, and pruning by them."""
