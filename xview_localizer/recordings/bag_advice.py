"""What a user can do about a recording that cannot be opened."""

from __future__ import annotations

from pathlib import Path

KINDS = "a rosbag2 folder, .mcap, .db3 or .bag"  # that can be opened; suffixes have to be in lower case
# The text of rosbags' error where it does not understand the definition of a type, on any topic of the recording.
BAD_DEFINITION = "Could not parse"
# Suffixes of packed recordings.
PACKED = (".zstd", ".zst", ".gz", ".tgz", ".bz2", ".xz", ".lz4", ".zip", ".7z", ".tar")


def unmerged_journal(bag: Path) -> Path | None:
    """A journal of SQLite with messages that are not in the database yet; a recorder that crashed leaves one behind."""
    journals = bag.glob("*.db3-wal") if bag.is_dir() else [bag.with_name(f"{bag.name}-wal")]
    return next((path for path in journals if path.is_file() and path.stat().st_size), None)


def advice(bag: Path, error: Exception) -> str:
    """The remedy, as a part of a sentence, for a recording that rosbags failed to open with `error`."""
    if not bag.exists():
        return "there is no such file or folder; correct `bag` in drive.yaml, or the path"
    if bag.is_dir() and not (bag / "metadata.yaml").is_file():
        if not [*bag.glob("*.mcap*"), *bag.glob("*.db3*")]:
            if inside := sorted(path.parent.name for path in bag.glob("*/metadata.yaml")):
                return f"recordings are in it: {', '.join(inside)}; give one of them"
            return f"it has no drive.yaml, and is no recording ({KINDS})"
        unpack = "unpack its .zstd files, then " if [*bag.glob("*.zstd")] else ""
        return f"the recording was not ended properly and has no metadata.yaml; {unpack}run `ros2 bag reindex` on it"
    if bag.suffix.lower() in PACKED:
        return "unpack it first"
    if bag.suffix == ".bag":
        return "if recording was broken off, run `rosbag reindex` on it"
    if bag.suffix == ".active":
        return "recording was broken off; rename it to .bag and run `rosbag reindex` on it"
    if bag.is_file() and bag.suffix not in (".mcap", ".db3"):
        return f"recordings are {KINDS}; other formats have to be converted, and suffixes in capitals renamed"
    if "Profile is not ros2" in str(error):
        return (
            "its header does not name ROS 2: of messages of ROS 2, `ros2 bag convert` writes one that does; of ROS 1, "
            "give the .bag that it was made from"
        )
    if bag.suffix == ".db3" or bag.is_dir() and [*bag.glob("*.db3*")]:
        mend = "if it was cut off, mend it with `sqlite3 FILE.db3 .recover` and `ros2 bag reindex`"
    else:
        mend = "if it was cut off, mend it with `mcap recover` and `ros2 bag reindex`"
    if isinstance(error, (KeyError, UnicodeDecodeError)) or BAD_DEFINITION in str(error):
        mend += (
            "; if it has topics that are not of ROS 2 (protobuf, JSON), or whose definition is not understood (IDL), "
            "leave them out with `mcap filter`"
        )
    if bag.is_dir():
        mend += "; if only its metadata.yaml is wrong, or of a newer ROS, give the .mcap or .db3 file itself"
    return mend
