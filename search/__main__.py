"""The command line, `wunderkind` and `python -m search`; it can be stopped cleanly while modules are imported."""

import sys

from search.interrupt import Stopped, command, listen
from search.output import speak_plainly


def main() -> None:
    """Run the command that was typed."""
    speak_plainly()
    listen()
    try:
        from search.cli import app  # a signal may come while it is imported

        app.main()
    except Stopped:
        print(f"stopped; go on with: {command()}", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
