"""Who suggests the next student: one file a sampler."""
