"""Files and folders of which a reader sees all or nothing."""

import pytest

from xview_localizer.atomic import new_folder


def test_a_folder_appears_once_it_is_full(tmp_path):
    folder = tmp_path / "made" / "drive"
    with new_folder(folder) as unfinished:
        (unfinished / "bag").mkdir()
        assert not folder.exists()
    assert [path.name for path in folder.parent.rglob("*")] == ["drive", "bag"]


def test_of_a_folder_that_cannot_be_filled_nothing_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "drive") as unfinished:
        (unfinished / "bag").mkdir()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_behind_is_filled_anew(tmp_path):
    (tmp_path / "drive.unfinished" / "half").mkdir(parents=True)
    with new_folder(tmp_path / "drive") as unfinished:
        assert not list(unfinished.iterdir())


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(OSError, match="holds files already; remove it, or give another folder"),
        new_folder(tmp_path),
    ):
        raise AssertionError("the folder is refused before any work is done")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_left_as_it_is(tmp_path):
    (tmp_path / "drive").write_text("mine")
    with pytest.raises(FileExistsError), new_folder(tmp_path / "drive"):
        raise AssertionError("the file is refused before any work is done")
    assert (tmp_path / "drive").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path):
    with new_folder(tmp_path) as unfinished:
        (unfinished / "truth.tum").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["truth.tum"]
