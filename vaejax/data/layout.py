"""Which axes of an array are those of an image."""

CHANNELS = (1, 3)  # grey, colour


def image_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The axes of height and width of x: of (h, w), (h, w, 1 or 3) and (1 or 3, h, w). Where the
    first and the last axis could both be channels they are the last. None for other shapes."""
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
