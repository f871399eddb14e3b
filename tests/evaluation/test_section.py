"""Images of each layout, drawn; errors in words."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from vaejax.evaluation.section import format_rounding, is_binary, is_image, show

GREY = np.random.RandomState(0).uniform(size=(3, 9, 8))
COLOUR = np.random.RandomState(0).uniform(size=(3, 9, 8, 3))


def canvas(images, **settings):
    figure, axes = plt.subplots()
    show(axes, images, 3, "title", **settings)
    drawn = np.asarray(axes.images[0].get_array())
    plt.close(figure)
    return drawn


@pytest.mark.parametrize("ink", [False, True])
def test_each_layout_is_drawn_alike(ink):
    """As it is; of one channel with ink as on paper."""
    grey = canvas(GREY, ink=ink)
    np.testing.assert_allclose(grey[:, :8], 1 - GREY[0] if ink else GREY[0])
    assert np.all(grey[:, 8] == 1)  # the gap
    for images in (GREY[..., None], GREY[:, None]):
        np.testing.assert_array_equal(canvas(images, ink=ink), grey)
    colour = canvas(COLOUR, ink=ink)
    np.testing.assert_allclose(colour[:, :8], COLOUR[0])
    np.testing.assert_array_equal(canvas(np.moveaxis(COLOUR, -1, 1), ink=ink), colour)


def test_what_is_no_image():
    assert not is_image(GREY[0])
    assert not is_image(COLOUR[..., :2])
    assert is_binary(GREY > 0.5) and not is_binary(GREY)


def test_an_error_of_rounding_is_shown_where_it_shows():
    assert [format_rounding(error) for error in (None, 1e-12, 4e-4, 0.02)] == 3 * ["-"] + ["0.020"]
