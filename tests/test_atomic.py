"""A file is there whole or not at all, and nothing else is left behind."""

import errno
import os
import stat

import pytest

from skadetect.atomic import atomic_path
from skadetect.errors import OutputError


def _half_written(path):
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError


def test_the_file_appears_when_the_block_ends(tmp_path):
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "a.txt").exists() and temporary.parent == tmp_path
        assert temporary.name.endswith("a.txt")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError):
        _half_written(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_clear_error(tmp_path):
    with (
        pytest.raises(OutputError, match=r"a\.txt cannot be written: No space left"),
        atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_a_missing_directory_and_a_directory_as_file_are_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere"), atomic_path(tmp_path / "nowhere" / "a.txt"):
        pass
    with pytest.raises(OutputError, match="is a directory"), atomic_path(tmp_path):
        pass


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "a.txt"):
        pass
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )
