"""Standard output and error of any encoding: what one does not have is written in plainer characters."""

import codecs
import io
import sys
import unicodedata

PLAIN = {
    "–": "-", "—": "-", "−": "-", "·": ".", "×": "x", "÷": "/", "±": "+/-", "…": "...", "→": "->", "≤": "<=", "≥": ">=",
    "≈": "~", "σ": "s", "α": "a", "µ": "u", "²": "2", "“": '"', "”": '"', "‘": "'", "’": "'", "✓": "+", "✗": "x",
    "ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
}  # fmt: skip
"""What a character is written as where the encoding does not have it."""


def speak_plainly() -> None:
    """Have standard output and error write anything, whatever their encoding."""
    codecs.register_error("wunderkind-plain", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="wunderkind-plain")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # bytes of a path that the locale could not read are UTF-8 nearly everywhere
    text = error.object[error.start : error.end].encode(errors="surrogateescape").decode(errors="replace")
    return "".join(map(_plain, text)), error.end


def _plain(character: str) -> str:
    if character in PLAIN:
        return PLAIN[character]
    if "─" <= character <= "╿":  # lines of tables
        return "|" if character in "│┃║" else "-"
    base = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return base or "?"
