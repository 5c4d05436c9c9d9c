"""Where data comes from: one file a kind of source; each reads arrays as they are, `kd.data` checks and splits them."""
