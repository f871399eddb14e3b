"""Progress of long work, and signals that ask it to save and stop."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

_SILENT = 10.0  # least seconds between two lines of a log


class Stop:
    """`signal` is the number of the signal that asked for a stop, or 0."""

    signal = 0


@contextlib.contextmanager
def signals() -> Iterator[Stop]:
    """The first Ctrl-C or SIGTERM asks the work to save and stop; a second ends it at once."""
    stop = Stop()

    def ask(number, frame):
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        print("\nstopping after the next save; press again to end at once", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress_bar(
    total: int, initial: int = 0, unit: str = "step", what: str = "train"
) -> "tqdm | PlainProgress":
    """A progress bar on standard error, or lines if that is not a terminal. Work with `total` 1 has
    no count and no rate."""
    if not sys.stderr.isatty():
        return PlainProgress(total, initial, unit, what)
    return tqdm(
        total=total,
        initial=initial,
        unit=unit,
        desc=what,
        file=sys.stderr,
        mininterval=0.5,
        bar_format="{desc}: {elapsed}" if total == 1 else None,
    )


class PlainProgress:
    """Progress as lines of a log, with the methods of `tqdm` that are used here: a line at each
    tenth of the work, at least ten seconds apart, and one at the end."""

    def __init__(self, total: int, initial: int, unit: str, what: str):
        self.total, self.n, self.unit, self.what = total, initial, unit, what
        self._initial, self._postfix = initial, ""
        self._started = self._printed_at = time.monotonic()
        self._printed = initial

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Set the end of the next line."""
        self._postfix = text

    def update(self, count: int) -> None:
        """Add `count` units of work."""
        self.n += count
        tenths = [10 * n // max(self.total, 1) for n in (self._printed, self.n)]
        if tenths[0] < tenths[1] and time.monotonic() - self._printed_at > _SILENT:
            self._print()

    def close(self) -> None:
        """Print the last line, if it is not printed yet."""
        if self.n > self._printed:
            self._print()

    def _print(self) -> None:
        self._printed, self._printed_at = self.n, time.monotonic()
        seconds = self._printed_at - self._started
        rate = (self.n - self._initial) / max(seconds, 1e-9)
        words = [f"{self.n:,} of {self.total:,} {self.unit}s"] if self.total > 1 else []
        words.append(f"{seconds:.0f} s")
        words += [f"{rate:,.3g} {self.unit}s/s"] if self.total > 1 else []
        words += [self._postfix] if self._postfix else []
        print(f"{self.what}: {', '.join(words)}", file=sys.stderr, flush=True)
