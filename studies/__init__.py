"""What was asked and what happened: configuration, storage, ledger, records. Imports `space` and `kd`."""
