"""The end of the service: whether it was asked for, and how much time is left for it."""

from threading import Event
from time import monotonic


class Ending:
    """An end that may take `seconds` from the moment at which it is asked for; what takes part in it shares them.

    Attributes:
        asked: is set once the end was asked for.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None
        self.asked = Event()

    def ask(self) -> None:
        """Asks for the end. Asking again changes nothing."""
        if self._deadline is None:
            self._deadline = monotonic() + self._seconds
        self.asked.set()

    def remaining(self) -> float:
        """Seconds that are left: all of them before it was asked for, never less than 0."""
        return self._seconds if self._deadline is None else max(0.0, self._deadline - monotonic())
