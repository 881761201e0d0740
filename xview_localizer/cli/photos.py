"""`xview-localizer locate`: where photos were taken."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.markup import escape

from xview_localizer.cli.common import Package, print_line, print_open_me, tracked

if TYPE_CHECKING:
    from xview_localizer.photo.batch import PhotoAnswer


def locate(
    photo: Annotated[Path, typer.Argument(help="A photo, or a folder of photos.")],
    map_source: Annotated[
        str, typer.Option("--map", help="GeoTIFF or MBTiles file, or a tile URL with {z}, {x}, {y}.")
    ],
    at: Annotated[
        Optional[str],
        typer.Option(metavar="LAT,LON", help="Rough position; by default that in the photo's EXIF."),
    ] = None,
    radius: Annotated[
        Optional[float], typer.Option(help="How far off it can be, metres; 30 by default.")
    ] = None,
    heading: Annotated[
        Optional[str],
        typer.Option(metavar="DEG±DEG", help="Compass heading of the image's middle, 0 is north; 90±15."),
    ] = None,
    height: Annotated[Optional[float], typer.Option(help="Camera height over the ground, metres.")] = None,
    hfov: Annotated[
        Optional[float], typer.Option(help="Horizontal field of view, degrees; 360: panorama.")
    ] = None,
    pitch: Annotated[
        Optional[float],
        typer.Option(help="Degrees by which the camera looks down; found with the pose if not given."),
    ] = None,
    roll: Annotated[Optional[float], typer.Option(help="Degrees by which it leans to the right.")] = None,
    model: Package = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of ONNX Runtime; 0: its own choice.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("located"),
) -> None:
    """Find where a photo was taken: latitude, longitude and heading, with a picture that shows why.

    Example: xview-localizer locate photo.jpg --map ortho.tif --at 48.137,11.575 --heading 90±15 --height 1.6
    Example: xview-localizer locate photos --map ortho.tif
    """
    from xview_localizer.photo.batch import find_photos, locate_photos
    from xview_localizer.photo.locate import PhotoLocator
    from xview_localizer.photo.options import known_by_user

    known = known_by_user(at, radius, heading, height, hfov, pitch, roll)
    locator = PhotoLocator(map_source, {"model.package": str(model or ""), "model.threads": threads})
    answers = locate_photos(find_photos(photo), locator, known, out, tracked("localizing"))
    if len(answers) == 1:
        _print_answer(answers[0])
    else:
        for answer in answers:
            _print_verdict(answer, f": {_place(answer) if answer.verdict == 'accepted' else answer.reason}")
        for doubts in dict.fromkeys(answer.doubts for answer in answers if answer.doubts):
            print_line(f"doubtful: {doubts}")
    print_line("table, GeoJSON and pictures:")
    print_open_me(out / "index.html")


def _print_answer(answer: "PhotoAnswer") -> None:
    _print_verdict(answer)
    lines = [answer.reason, _place(answer), *answer.notes.split("; ")]
    for line in filter(None, lines):
        print_line(f"  {line}")
    if answer.doubts:
        print_line(f"  doubtful: {answer.doubts}")


def _print_verdict(answer: "PhotoAnswer", rest: str = "") -> None:
    colour = "green" if answer.verdict == "accepted" else "red"
    print_line(f"[{colour}]{answer.verdict}[/{colour}]  {escape(answer.photo + rest)}", markup=True)


def _place(answer: "PhotoAnswer") -> str:
    """The pose that was found; empty where there is none."""
    if answer.latitude_deg is None:
        return ""
    return (
        f"{answer.latitude_deg:.7f}, {answer.longitude_deg:.7f} ± {answer.sigma_major_m:.2f} m "
        f"({answer.from_prior_m:.1f} m from the rough position), "
        f"heading {answer.heading_deg:.1f}° ± {answer.heading_sigma_deg:.1f}°, confidence {answer.confidence:.2f}"
    )
