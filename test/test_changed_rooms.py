"""`make quick` runs the tests of what changed."""

from changed_rooms import FALLBACK, paths_of_tests


def test_rooms_and_root_modules():
    changed = [
        "xview_localizer/photo/exif.py", "xview_localizer/localizer.py", "xview_localizer/recordings/tum.py",
        "test/photo/test_photo.py", "test/aerial/test_raster.py", "test/ros/conftest.py", "docs/photo.md", "LICENSE",
    ]  # fmt: skip
    assert paths_of_tests(changed) == [
        "test/aerial/test_raster.py", "test/photo", "test/recordings", "test/ros", "test/test_localizer.py",
        "test/test_readme.py",
    ]  # fmt: skip
    assert paths_of_tests(["LICENSE"]) == [FALLBACK]


def test_files_without_a_room_of_tests_stand_for_the_tests_that_know_them(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_cli_options.py").touch()
    (tmp_path / "test" / "test_map.py").write_text("from xview_localizer.kept_blocks import KeptBlocks")
    (tmp_path / "test" / "test_displays.py").write_text('CONFIG / "localizer.rviz"')
    for changed, test in {
        "xview_localizer/cli/photos.py": "test/test_cli_options.py",
        "xview_localizer/kept_blocks.py": "test/test_map.py",
        "config/localizer.rviz": "test/test_displays.py",
    }.items():
        assert paths_of_tests([changed], tmp_path) == [test]
