"""Applications that use the SDK with its defaults and record what they observe."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex
from time import monotonic

from ccs_sdk import ContextClient, RetryEvent
from tests.support.waiting import wait_until
from tests.trust.clients import Crowd
from tests.trust.history import Operation, read, write


@dataclass
class Apps:
    """Threads that save and read two properties. Any error that the SDK raises fails the test.

    They run for the length of `with apps.crowd`. The owner of `clients` closes it afterwards.
    """

    url: str
    account: str
    key: str = field(repr=False)
    clients: ExitStack
    how_many: int
    history: list[Operation] = field(default_factory=list)
    retries: list[RetryEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count()
        self._namespace = f"app_{token_hex(4)}"
        self.crowd = Crowd(self._app(f"p{number % 2}") for number in range(self.how_many))

    def await_calls(self, more: int) -> None:
        """Waits until `more` further calls have returned."""
        enough = len(self.history) + more
        wait_until(lambda: self.crowd.check() and len(self.history) >= enough)

    def _app(self, name: str) -> Callable[[], None]:
        client = self.clients.enter_context(
            ContextClient(self.url, self.account, api_key=self.key, on_retry=self.retries.append)
        )

        def call() -> None:
            value = f"v{next(self._numbers)}"
            invoked = monotonic()
            client.set_property(self._namespace, name, value)
            self.history.append(write(name, value, invoked, monotonic()))
            invoked = monotonic()
            found = client.get_property(self._namespace, name)
            self.history.append(read(name, str(found), invoked, monotonic()))

        return call
