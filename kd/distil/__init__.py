"""How a student is distilled: views with the teacher's logits, and the rung task."""
