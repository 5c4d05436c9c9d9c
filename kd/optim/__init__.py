"""How weights move: the recipe, Muon, the state of a training as bytes."""
