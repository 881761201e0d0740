"""Every reason has a text for people, made of its numbers."""

import string

import pytest

from xview_localizer.rejection import Reason, Rejection

VALUES = {
    "detail": "the sensor stopped",
    "direction": "along the street",
    "max_age_sec": 10.0,
    "newest": "; the newest is old",
    "radius_m": 250.4,
    "limit_m": 200.0,
    "stamp_sec": 12.3456,
    "previous_sec": 12.4,
    "x_m": 1200.6,
    "y_m": -3.4,
    "confidence": 0.456,
    "limit": 0.97,
    "distance_m": 17.6,
    "sigma_m": 4.26,
}


def fields(reason):
    return {name for _, name, _, _ in string.Formatter().parse(reason.template) if name}


@pytest.mark.parametrize("reason", Reason)
def test_text_holds_every_value(reason):
    values = {name: VALUES[name] for name in fields(reason)}
    text = Rejection.of(reason, **values).text
    assert text and "{" not in text and "nan" not in text
    for name, value in values.items():
        assert format(value, spec_of(reason, name)) in text


def spec_of(reason, name):
    """The format of a value in the reason's template."""
    (spec,) = {spec for _, field, spec, _ in string.Formatter().parse(reason.template) if field == name}
    return spec


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.NO_PRIOR, "no GNSS position within 10 s before the image; the newest is old"),
        (Reason.PRIOR_TOO_WIDE, "search radius 250 m is above 200 m"),
        (Reason.STALE_IMAGE, "image stamp 12.346 is not after the previous one, 12.400"),
        (Reason.NO_IMAGERY, "the map has no imagery around the prior (1201, -3) m"),
        (Reason.TOO_UNCERTAIN, "position sigma 4.26 m is above 200 m"),
        (
            Reason.TWO_PLACES_FIT,
            "two places fit, 18 m apart along the street: confidence 0.456 is below 0.97",
        ),
    ],
)
def test_texts(reason, text):
    assert Rejection.of(reason, **{name: VALUES[name] for name in fields(reason)}).text == text


def test_texts_alike_are_not_reasons_alike():
    """Code compares reasons, also those whose text is nothing but the detail."""
    assert Rejection.of(Reason.BAD_IMAGE, detail="x") != Rejection.of(Reason.BAD_MESSAGE, detail="x")
    assert len(Reason) == len(Reason.__members__)


def test_numbers_are_rounded_away_from_their_limit():
    below = Rejection.of(Reason.NO_PLACE_FITS, confidence=0.98996, limit=0.99)
    assert below.text.endswith("confidence 0.989 is below 0.99")
    above = Rejection.of(Reason.TOO_UNCERTAIN, sigma_m=3.0001, limit_m=3.0)
    assert above.text == "position sigma 3.01 m is above 3 m"
