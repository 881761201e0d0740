"""How far an engine is off, and which of its layers is to blame."""

import numpy as np
import onnx
import pytest

from xview_localizer.engines.parity import tensor_error, worst_layer

EXPECTED = np.array([3.0, 0.0, 4.0], np.float32)


def test_an_error_is_relative_to_the_norm_of_what_was_expected():
    error = tensor_error("y", EXPECTED, EXPECTED + np.array([0.0, 0.5, 0.0], np.float32))
    assert (error.name, error.relative, error.greatest) == ("y", pytest.approx(0.1), pytest.approx(0.5))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_off_without_bounds(wrong):
    error = tensor_error("y", EXPECTED, np.array([3.0, wrong, 4.0], np.float32))
    assert error.relative == error.greatest == np.inf


@pytest.mark.parametrize(
    ("errors", "worst"),
    [((0.3, 0.1, 0.5), "shifted"), ((0.1, 0.2, 0.5), "y"), ((0.1, np.nan, 0.5), "swollen")],
)
def test_the_worst_layer_adds_most_to_the_error_before_it(overflowing, errors, worst):
    """An error that a later layer hides counts as there before."""
    names = ("shifted", "swollen", "y")

    class Gives:
        def __init__(self, numbers):
            self.numbers = numbers

        def run(self, _inputs):
            return {name: np.array([number]) for name, number in zip(names, self.numbers, strict=True)}

    model = onnx.load(str(overflowing.path))
    off = [1 + error for error in errors]
    assert worst_layer(model, {}, lambda _: Gives([1.0] * 3), lambda _: Gives(off)).name == worst
