"""`python -m search` is the command line too."""

from search.cli import main

main()
