"""Where tasks run: Dask."""
