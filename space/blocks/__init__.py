"""The blocks students are made of, one file a kind; each knows its output shape, its cost and its module."""
