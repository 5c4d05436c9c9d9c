"""How students are drawn: the domain of a search, its families, random trials and mutations."""
