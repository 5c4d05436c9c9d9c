"""Where a study lies: its run directory, its database, the ledger, the rows of trials, the files of rungs."""
