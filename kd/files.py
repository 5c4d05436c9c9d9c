"""Files that are whole or not there."""

import uuid
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, making its folder; a crash or a full disk leaves the old one or none, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
