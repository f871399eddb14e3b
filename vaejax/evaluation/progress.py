"""Progress bars, and signals that ask long work to save and stop."""

import contextlib
import signal
import sys
from collections.abc import Iterator

from tqdm import tqdm


class Stop:
    """Which signal asked for a stop, or 0."""

    signal = 0


@contextlib.contextmanager
def signals() -> Iterator[Stop]:
    """The first Ctrl-C or SIGTERM asks the work to save and stop; a second ends it at once."""
    stop = Stop()

    def ask(number, frame):
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        print("\nstopping: saving at the end of this call (again to end at once)", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress_bar(total: int, initial: int = 0, unit: str = "step", what: str = "train"):
    return tqdm(
        total=total, initial=initial, unit=unit, desc=what, file=sys.stderr, mininterval=0.5
    )
