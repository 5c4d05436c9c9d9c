"""Where tasks run: on Dask, or, for tests and replays, nowhere."""
