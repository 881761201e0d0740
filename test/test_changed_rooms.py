"""`make quick` runs the tests of what changed."""

from changed_rooms import FALLBACK, paths_of_tests


def test_rooms_and_root_modules():
    changed = [
        "xview_localizer/photo/exif.py", "xview_localizer/localizer.py", "xview_localizer/recordings/tum.py",
        "test/photo/test_photo.py", "test/aerial/test_raster.py", "test/ros/conftest.py", "docs/photo.md", "gone.txt",
    ]  # fmt: skip
    assert paths_of_tests(changed) == [
        "test/aerial/test_raster.py", "test/photo", "test/recordings", "test/ros", "test/test_localizer.py",
        "test/test_readme.py",
    ]  # fmt: skip
    assert paths_of_tests(["LICENSE"]) == [FALLBACK]
