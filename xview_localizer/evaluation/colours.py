"""What each colour means in the pictures of a judged drive: plots, report, film strip, film and Rerun recording."""

from __future__ import annotations

from collections.abc import Mapping

from xview_localizer.drawing import RGB

TRUTH_RGB, GNSS_RGB, OURS_RGB = (34, 34, 34), (209, 73, 91), (23, 105, 170)
FILM_OURS_RGB = (40, 130, 220)  # brighter, for small marks without a light edge on a dark map
PRIOR_RGB, RIVAL_RGB = (80, 160, 255), (224, 138, 0)
# A rejected pose is red where it is looked at alone. Beside GNSS, as in plots and films, it is grey, as is what has no
# pose at all.
REJECTED_RGB, GREY_RGB = GNSS_RGB, (143, 154, 166)


def css(rgb: RGB) -> str:
    """A colour as matplotlib and browsers write it, such as #1769aa."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


# Of the page's style and of report.js.
PAGE_COLOURS: Mapping[str, str] = {
    "truth": css(TRUTH_RGB),
    "gnss": css(GNSS_RGB),
    "ours": css(OURS_RGB),
    "rejected": css(REJECTED_RGB),
    "no_pose": css(GREY_RGB),
    "prior": css(PRIOR_RGB),
    "rival": css(RIVAL_RGB),
}
