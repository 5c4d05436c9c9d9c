"""What a student minimises: losses on logits and on features."""
