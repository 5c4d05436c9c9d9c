import os
from pathlib import Path

import pytest

from kd.files import MANIFEST, damaged_files, is_sound, renew_manifest, write_manifest

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(CONTENT)
    write_manifest(tmp_path, ("a", "b"))
    return tmp_path


@pytest.mark.parametrize(
    "content",
    [b"", CONTENT[:-1], CONTENT[:4096] + bytes(4096) + CONTENT[8192:], b"x" * len(CONTENT)],
    ids=["empty", "short", "a page of zeros", "foreign"],
)
def test_a_damaged_file_is_named(folder: Path, content: bytes) -> None:
    assert is_sound(folder)
    before = (folder / "a").stat()
    (folder / "a").write_bytes(content)
    os.utime(folder / "a", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert damaged_files(folder) == ["a"]
    (folder / "a").write_bytes(CONTENT)  # the same content at another time, as in a copy
    assert is_sound(folder)


def test_a_missing_file_and_a_damaged_manifest_are_named(folder: Path) -> None:
    (folder / "b").unlink()
    assert damaged_files(folder) == ["b"]
    for content in (b"", b"[]", b'{"a": 1}', bytes(100), b'{"a": [1, 2'):
        (folder / MANIFEST).write_bytes(content)
        assert damaged_files(folder) == [MANIFEST]


def test_what_a_system_leaves_in_a_folder_is_no_content(folder: Path) -> None:
    for name in (".DS_Store", "._a", ".nfs0001", "desktop.ini"):
        (folder / name).write_bytes(b"x")
    assert is_sound(folder)


def test_a_file_that_is_changed_on_purpose_is_written_down_anew_and_no_other(tmp_path: Path) -> None:
    for name in ("card.md", "weights"):
        (tmp_path / name).write_text("before")
    write_manifest(tmp_path, ("card.md", "weights"))
    (tmp_path / "card.md").write_text("after it was measured")
    assert not is_sound(tmp_path)
    renew_manifest(tmp_path, ("card.md",))
    assert is_sound(tmp_path)
    (tmp_path / "weights").write_text("damaged")
    renew_manifest(tmp_path, ("card.md",))
    assert damaged_files(tmp_path) == ["weights"]


def test_a_thorough_check_trusts_no_time_of_change(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"before")
    write_manifest(tmp_path, ("weights",))
    written = path.stat()
    path.write_bytes(b"beforf")  # as a disk that forgets a bit
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert damaged_files(tmp_path) == []
    assert damaged_files(tmp_path, thorough=True) == ["weights"]
