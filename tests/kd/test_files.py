import os
import time
from pathlib import Path

import pytest

from kd import files
from kd.files import STALE, scratch_folder, write_whole


def test_a_draft_of_a_killed_process_is_removed_and_one_being_written_stays(tmp_path: Path) -> None:
    files._remove_stale_drafts.cache_clear()
    old, fresh, other = (tmp_path / name for name in (f".a-{'0' * 32}", f".a-{'1' * 32}", ".a-note"))
    for path in (old, fresh, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (time.time() - 2 * STALE,) * 2)
    write_whole(tmp_path / "b", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {fresh.name, other.name, "b"}
    assert (tmp_path / "b").read_text() == "whole"


def test_a_scratch_folder_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"), scratch_folder(tmp_path, "a") as folder:
            assert list(folder.iterdir()) == []
            (folder / "part").touch()
            raise ValueError("broken")
        assert not folder.exists()
    with scratch_folder(tmp_path, "a") as folder:
        folder.rename(tmp_path / "a")
    assert (tmp_path / "a").is_dir()
