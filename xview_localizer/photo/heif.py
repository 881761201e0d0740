"""HEIF photos (HEIC, HIF), as phones take them by default: Pillow reads them with the package pillow-heif.

The decoder turns them upright itself and sets the EXIF orientation to 1, so that nobody turns them again.
"""

from __future__ import annotations

from pathlib import Path

# Major brands of HEIF files with HEVC inside, whatever their suffix. Pillow itself reads AVIF, from version 11.3 on.
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def is_heif(path: Path) -> bool:
    """Whether a file begins as HEIF files do. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:12] in _BRANDS


def let_pillow_read_heif() -> None:
    """Register the decoder. Raises ImportError where pillow-heif is not installed."""
    from pillow_heif import register_heif_opener

    register_heif_opener()
