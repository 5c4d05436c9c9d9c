"""How one student is drawn: the domain, a builder a family, distributions, mutation."""
