"""The blocks students are made of, a file a kind; each knows its output shape, its cost and its module."""
