"""Delivers changes to webhooks for as long as the service runs.

One event loop in a thread of the supervising process sends to all receivers whose webhooks this instance has claimed,
so one that is slow holds up no other. Statements are executed in a thread beside it, one after the other.
"""

import asyncio
from asyncio import CancelledError, Task, create_task, gather, get_running_loop, sleep, wait
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from logging import Logger
from time import monotonic, time
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from prometheus_client import Counter, Summary

from ccs_server.domain.errors import Unavailable
from ccs_server.domain.receivers import read_url
from ccs_server.domain.webhooks import MAX_RETRY_AFTER_SECONDS, RECEIVER_SECONDS, sign
from ccs_server.serving.background import Background
from ccs_server.serving.ending import Ending
from ccs_server.store import deliveries
from ccs_server.store.database import Database
from ccs_server.store.deliveries import Claimed, Message, WebhookPaused

if TYPE_CHECKING:
    from ccs_server.http.outbound import Sender

P = ParamSpec("P")
T = TypeVar("T")

_USER_AGENT = f"ccs-server/{version('ccs-server')}"

_IDLE_SECONDS = 2.0
"""How often it is looked whether there is a webhook."""

_TICK_SECONDS = 0.1

_REST = 9.0
"""Seconds of pause for each second of looking for webhooks that are due."""

_CONCURRENT = 100
"""How many webhooks an instance delivers to at once; an account has at most 20."""

_RENEW_SECONDS = 1.5
"""How often a claim is renewed while a receiver is waited for."""

_MESSAGES = 20
"""How many messages a webhook is sent before others have their turn."""

_AFTER_FAILURE_SECONDS = 1.0

_STOP_SECONDS = 1.0
"""How long messages that are under way may take when the service ends; others are sent again by the next instance."""

_tries = Counter(
    "ccs_webhook_tries_total", "Tries to deliver a message to a webhook, by outcome.", ["outcome"]
)
_delivered, _failed = (_tries.labels(outcome) for outcome in ("delivered", "failed"))
_events = Counter("ccs_webhook_events_total", "Changes that webhooks' receivers have taken.")
_seconds = Summary("ccs_webhook_try_seconds", "How long tries to deliver a message took.")
_pauses = Counter("ccs_webhook_pauses_total", "Webhooks that were paused because of failures.")


class Deliveries(Background):
    """A thread of the supervising process, at work for the length of the block."""

    def __init__(self, database: Database, ending: Ending) -> None:
        super().__init__("webhooks", database, ending, tick=_TICK_SECONDS)

    def _work(self) -> None:
        if deliveries.has_webhooks(self._database):
            asyncio.run(self._deliver())
        else:
            self._wait(_IDLE_SECONDS)

    async def _deliver(self) -> None:
        """Delivers until the service ends."""
        # Imported here because it takes a quarter of a second, and most installations have no webhooks.
        from ccs_server.http.outbound import Sender  # noqa: PLC0415

        allowed = self._database.settings.webhook_allow
        with ThreadPoolExecutor(1, thread_name_prefix="webhooks-store") as executor:
            async with Sender(allowed, limit=_CONCURRENT, seconds=RECEIVER_SECONDS) as sender:
                courier = _Courier(self._database, executor, sender, self._log)
                while not self._stop.is_set():
                    await courier.start_due()
                await courier.end()


class _Courier:
    """Delivers to webhooks, each in a task of its own."""

    def __init__(
        self, database: Database, executor: Executor, sender: "Sender", log: Logger
    ) -> None:
        self._database = database
        self._executor = executor
        self._sender = sender
        self._log = log
        self._tasks: set[Task[None]] = set()

    async def start_due(self) -> None:
        """Begins to deliver to webhooks that are due, and rests."""
        began = monotonic()
        room = _CONCURRENT - len(self._tasks)
        try:
            due = await self._store(deliveries.find_due, room) if room else []
        except Unavailable as error:
            self._log.warning("%s", error)
            await sleep(_AFTER_FAILURE_SECONDS)
            return
        for account, id_ in due:
            task = create_task(self._deliver(account, id_))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await sleep(max(_TICK_SECONDS, _REST * (monotonic() - began)))

    async def end(self) -> None:
        """Gives what is under way a moment to end, and leaves the rest to other instances."""
        if self._tasks:
            await wait(self._tasks, timeout=_STOP_SECONDS)
        rest = list(self._tasks)
        for task in rest:
            task.cancel()
        await gather(*rest, return_exceptions=True)

    async def _deliver(self, account: str, id_: str) -> None:
        try:
            webhook = await self._store(deliveries.claim, account, id_)
            if webhook is not None:
                await self._deliver_to(webhook)
        except WebhookPaused as paused:
            _pauses.inc()
            self._log.warning("Webhook %s of account %s is paused: %s", id_, account, paused)
        except Unavailable as error:
            # The claim ends by itself.
            self._log.warning("%s", error)
        except Exception:  # noqa: BLE001 - a fault with one webhook must not end deliveries to others
            self._log.exception("Webhook %s of account %s was not delivered to.", id_, account)

    async def _deliver_to(self, webhook: Claimed) -> None:
        try:
            for _ in range(_MESSAGES):
                found = await self._store(deliveries.next_message, webhook)
                if isinstance(found, Message):
                    found = await self._send(found)
                if found is None:
                    return
                webhook = found
        except CancelledError:
            await self._store(deliveries.release, webhook)
            raise
        await self._store(deliveries.release, webhook)

    async def _send(self, message: Message) -> Claimed | None:
        now = int(time())
        receiver = read_url(message.webhook.url)
        headers = {
            "Host": receiver.authority,
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "webhook-id": message.id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(message.secrets, message.id, now, message.body),
        }
        sending = create_task(self._sender.post(receiver, headers, message.body))
        try:
            with _seconds.time():
                while not (await wait([sending], timeout=_RENEW_SECONDS))[0]:
                    await self._store(deliveries.renew, message.webhook)
        finally:
            sending.cancel()
        outcome = sending.result()
        if outcome.reason is None:
            _delivered.inc()
            _events.inc(message.size)
            return await self._store(deliveries.delivered, message)
        _failed.inc()
        retry_after = min(outcome.retry_after, MAX_RETRY_AFTER_SECONDS)
        fail = partial(deliveries.failed, retry_after=retry_after, pause=outcome.is_gone)
        return await self._store(fail, message, outcome.reason)

    async def _store(
        self, function: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Calls a function of the store, in its thread."""
        call = partial(function, self._database, *args, **kwargs)
        return await get_running_loop().run_in_executor(self._executor, call)
