"""Which axes are those of an image."""

import pytest

from vaejax.data.layout import image_axes, is_grey


@pytest.mark.parametrize(
    ("shape", "axes", "grey"),
    [
        ((9, 8), (0, 1), True),
        ((9, 8, 1), (0, 1), True),
        ((9, 8, 3), (0, 1), False),
        ((1, 9, 8), (1, 2), True),
        ((3, 9, 8), (1, 2), False),
        ((3, 9, 3), (0, 1), False),  # the last, where both could be channels
        ((1, 9, 3), (0, 1), False),
        ((3, 9, 1), (0, 1), True),
        ((9, 8, 4), None, False),
        ((9,), None, False),
        ((2, 3, 9, 8), None, False),
    ],
)
def test_axes(shape, axes, grey):
    assert image_axes(shape) == axes
    assert is_grey(shape) == grey
