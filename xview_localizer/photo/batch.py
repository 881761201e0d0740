"""Localizing many photos: a table, a GeoJSON file, an HTML page, and a proof picture for each photo."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from xview_localizer.image_file import write_image
from xview_localizer.photo.known import KnownByUser
from xview_localizer.photo.locate import LocatedPhoto, PhotoLocator
from xview_localizer.photo.metadata import PhotoError, decoded
from xview_localizer.photo.photo import read_photo

PHOTO_SUFFIXES = {
    ".jpg", ".jpeg", ".jfif", ".mpo", ".insp", ".png", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".hif",
}  # fmt: skip
PAGE = Path(__file__).with_name("page.html")
PROOF_JPEG_QUALITY = 85
DEGREE_DIGITS = 7  # about a centimetre, finer than any pose


@dataclass(frozen=True)
class PhotoAnswer:
    """One row of the table. Numbers are None where no pose was found; `proof` is a file beside the table."""

    photo: str
    verdict: str  # "accepted", "rejected", or "unusable" where the photo could not be read or lacks metadata
    reason: str = ""
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    heading_deg: float | None = None
    heading_sigma_deg: float | None = None
    sigma_major_m: float | None = None
    sigma_minor_m: float | None = None
    from_prior_m: float | None = None
    confidence: float | None = None
    notes: str = ""
    doubts: str = ""
    proof: str = ""

    @classmethod
    def of(cls, located: LocatedPhoto, proof: str) -> PhotoAnswer:
        """The row of a located photo, with numbers rounded for people."""
        notes, doubts = "; ".join(located.photo.notes), "; ".join(located.doubts)
        verdict = "accepted" if located.accepted else "rejected"
        if not located.found:
            return cls(located.photo.name, verdict, located.reason, notes=notes, doubts=doubts, proof=proof)
        major_m, minor_m = located.position_sigmas_m
        return cls(
            photo=located.photo.name,
            verdict=verdict,
            reason=located.reason,
            latitude_deg=round(located.latitude_deg, DEGREE_DIGITS),
            longitude_deg=round(located.longitude_deg, DEGREE_DIGITS),
            heading_deg=round(located.heading_deg, 1) % 360,
            heading_sigma_deg=round(located.heading_sigma_deg, 2),
            sigma_major_m=round(major_m, 2),
            sigma_minor_m=round(minor_m, 2),
            from_prior_m=round(located.distance_from_prior_m, 2),
            confidence=round(float(located.fix.confidence), 3),
            notes=notes,
            doubts=doubts,
            proof=proof,
        )


def find_photos(path: Path) -> list[Path]:
    """The photo `path`, or all photos of the folder `path` by name. Raises PhotoError where it has none."""
    if not path.is_dir():
        return [path]
    visible = path.glob("[!.]*")  # macOS adds hidden files to copies
    photos = sorted(file for file in visible if file.suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise PhotoError(f"{path} holds no photo ({', '.join(sorted(PHOTO_SUFFIXES))})")
    return photos


def locate_photos(
    photos: Sequence[Path],
    locator: PhotoLocator,
    known: KnownByUser,
    out: Path,
    track: Callable[[Iterable[Path]], Iterable[Path]] = iter,
) -> list[PhotoAnswer]:
    """Localize photos and write photos.csv, photos.geojson, index.html and one proof each to `out`.

    An unusable photo becomes an answer with its reason; a single unusable photo raises PhotoError. What was answered
    before an interruption or an error is written, too. Raises MapSourceError, ModelPackageError, EngineError, OSError.
    """
    out.mkdir(parents=True, exist_ok=True)
    answers: list[PhotoAnswer] = []
    try:
        for number, path in enumerate(track(photos)):
            try:
                located = locator.locate(read_photo(path, known))
            except PhotoError as error:
                if len(photos) == 1:
                    raise
                answers.append(PhotoAnswer(decoded(path.name), "unusable", decoded(str(error))))
                continue
            proof = decoded(f"{number:03d}_{path.stem}_proof.jpg")
            write_image(out / proof, located.proof(), PROOF_JPEG_QUALITY)
            answers.append(PhotoAnswer.of(located, proof))
    finally:
        if answers:
            write_table(out / "photos.csv", answers)
            write_geojson(out / "photos.geojson", answers)
            write_page(out / "index.html", answers)
    return answers


def write_table(path: Path, answers: Sequence[PhotoAnswer]) -> None:
    """Write a CSV file with the fields of PhotoAnswer."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(PhotoAnswer)])
        writer.writeheader()
        writer.writerows(asdict(answer) for answer in answers)


def write_geojson(path: Path, answers: Sequence[PhotoAnswer]) -> None:
    """Write a GeoJSON file (RFC 7946) with a point for every pose found, accepted or rejected (see `verdict`)."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [answer.longitude_deg, answer.latitude_deg]},
            "properties": {
                name: value
                for name, value in asdict(answer).items()
                if name not in ("latitude_deg", "longitude_deg")
            },
        }
        for answer in answers
        if answer.latitude_deg is not None
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n")


def write_page(path: Path, answers: Sequence[PhotoAnswer]) -> None:
    """Write an HTML page with all answers; it needs no files but the proof pictures beside it."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(PAGE.parent), autoescape=True)
    page = environment.get_template(PAGE.name).render(
        answers=answers, accepted=sum(answer.verdict == "accepted" for answer in answers)
    )
    path.write_text(page, encoding="utf-8")
