"""What is asked of a study: settings, their files, checks and keys."""
