"""Who teaches: the shipped network, sources of teachers, opening and training them."""
