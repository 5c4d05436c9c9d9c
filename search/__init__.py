"""Who runs a study: sampler, pruning, driver, engine, command line. May import every other folder."""
