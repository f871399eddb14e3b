"""The axes of an array that are the height and width of an image."""

CHANNELS = (1, 3)  # grey, colour


def image_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The axes of height and width, for shapes (h, w), (h, w, 1 or 3) and (1 or 3, h, w); None for
    other shapes. Where both the first and the last axis could be channels, the last is."""
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS):
        return 0, 1
    if len(shape) == 3 and shape[0] in CHANNELS:
        return 1, 2
    return None


def is_grey(shape: tuple[int, ...]) -> bool:
    """Whether x is an image of one channel."""
    axes = image_axes(shape)
    return axes is not None and all(
        size == 1 for axis, size in enumerate(shape) if axis not in axes
    )
