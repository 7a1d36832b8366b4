"""Concurrent actions that the audit must record while processes are killed, and a check of its records."""

import json
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from secrets import token_hex
from typing import NamedTuple

import requests
from sqlalchemy import select

from ccs_server.domain.errors import Unavailable
from ccs_server.store import credentials
from ccs_server.store.audit import read_audit
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import rotate_signing_keys
from ccs_server.store.tables import api_key, credential, namespace, signing_key
from tests.support.service import CCS
from tests.support.waiting import wait_until
from tests.trust.clients import HANG_SECONDS, Crowd, Unexpected

# `ccs keys create` is killed after at most this time: on a busy machine, some finish and some do not.
_COMMAND_SECONDS = 4.0

# How long an action waits after a refusal, which leaves the processor to the processes that recover.
_PAUSE_SECONDS = 0.005


class Event(NamedTuple):
    """An event of a credential or namespace. `account` is None for signing keys."""

    account: str | None
    action: str
    subject: str


def violations(
    recorded: Iterable[Event], happened: Iterable[Event], acknowledged: Iterable[Event]
) -> list[str]:
    """Returns the violations of the rule that the audit records each event exactly once, and nothing else.

    Args:
        recorded: The records of the audit.
        happened: The events that the other tables show.
        acknowledged: The events that were acknowledged to clients.
    """
    lines, events = Counter(recorded), set(happened)
    return sorted(
        [f"not recorded: {event}" for event in events - lines.keys()]
        + [f"recorded, but did not happen: {event}" for event in lines.keys() - events]
        + [f"recorded {number} times: {event}" for event, number in lines.items() if number > 1]
        + [f"acknowledged, but not recorded: {event}" for event in set(acknowledged) - lines.keys()]
    )


class Audited:
    """Threads that create, use and revoke credentials and delete namespaces, in an account of their own.

    They run for the length of `with audited.crowd`.
    """

    def __init__(self, url: str, database: Database, env: Mapping[str, str]) -> None:
        self.acknowledged: list[Event] = []
        self.commands_killed = 0
        self.seed = random.SystemRandom().randrange(2**32)
        self.chance = random.Random(self.seed)
        self._url = url
        self._database = database
        self._env = env
        self._account = f"audited-{token_hex(4)}"
        self._names = (f"ns{number}" for number in count())
        self._saved: list[str] = []
        self._key = credentials.create_key(database, self._account)
        actions = (self._key_life, self._user_life, self._namespace_life, self._run_command)
        self.crowd = Crowd(_when_available(action) for action in actions)

    def await_events(self, more: int) -> None:
        """Waits until `more` further events have been acknowledged."""
        enough = len(self.acknowledged) + more
        wait_until(lambda: self.crowd.check() and len(self.acknowledged) >= enough, seconds=60)

    def recorded(self) -> list[Event]:
        """Returns the records of the audit about this account and about signing keys."""
        events = (Event(*line) for line in _lines(self._database))
        return [event for event in events if event.account in {None, self._account}]

    def happened(self) -> list[Event]:
        """Returns the events that the other tables show."""
        events = []
        with self._database.begin() as connection:
            for table, kind in ((api_key, "key"), (credential, "credential")):
                name = table.primary_key.columns.values()[0]
                rows = select(name, table.c.first_used_at, table.c.revoked_at).where(
                    table.c.account == self._account
                )
                for subject, first_used_at, revoked_at in connection.execute(rows):
                    events.append(self._event(f"{kind}.created", subject))
                    if first_used_at:
                        events.append(self._event(f"{kind}.first_used", subject))
                    if revoked_at:
                        events.append(self._event(f"{kind}.revoked", subject))
            names = select(namespace.c.name).where(namespace.c.account == self._account)
            left = set(connection.scalars(names))
            keys = connection.scalars(select(signing_key.c.key_id)).all()
        events += [
            self._event("namespace.deleted", name) for name in self._saved if name not in left
        ]
        return events + [Event(None, "signing_key.created", key) for key in keys]

    def _event(self, action: str, subject: str) -> Event:
        return Event(self._account, action, subject)

    def _acknowledge(self, action: str, subject: str) -> None:
        self.acknowledged.append(self._event(action, subject))

    def _key_life(self) -> None:
        made = credentials.create_key(self._database, self._account)
        self._acknowledge("key.created", made.key_id)
        if self._ask("GET", "", made.key, 200):
            self._acknowledge("key.first_used", made.key_id)
        credentials.revoke_key(self._database, self._account, made.key_id)
        self._acknowledge("key.revoked", made.key_id)

    def _user_life(self) -> None:
        made = credentials.create_credential(self._database, self._account)
        self._acknowledge("credential.created", made.username)
        if self._log_in(made.username, made.password):
            self._acknowledge("credential.first_used", made.username)
        credentials.revoke_credential(self._database, self._account, made.username)
        self._acknowledge("credential.revoked", made.username)
        if self.chance.random() < 0.1:
            key_id = rotate_signing_keys(self._database)
            self.acknowledged.append(Event(None, "signing_key.created", key_id))

    def _namespace_life(self) -> None:
        name = next(self._names)
        if self._ask("PUT", f"/{name}/properties/p", self._key.key, 204):
            self._saved.append(name)
            if self._ask("DELETE", f"/{name}", self._key.key, 204):
                self._acknowledge("namespace.deleted", name)

    def _run_command(self) -> None:
        """Runs `ccs keys create` as a process, and kills it at a random moment if it still runs."""
        command = subprocess.Popen(
            [*CCS, "keys", "create", self._account, "--json"],
            env=self._env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        with command:
            try:
                printed, _ = command.communicate(timeout=self.chance.uniform(0, _COMMAND_SECONDS))
            except subprocess.TimeoutExpired:
                command.kill()
                self.commands_killed += 1
                return
            if command.returncode == 0:
                self._acknowledge("key.created", json.loads(printed)["key_id"])

    def _ask(self, method: str, path: str, key: str, expected: int) -> bool:
        """Returns whether the service has acknowledged the call."""
        url = f"{self._url}/v1/account/{self._account}{path}"
        headers = {"maven-api-key": key, "Content-Type": "application/json"}
        body = b"1" if method == "PUT" else None
        return self._is_acknowledged(
            lambda: requests.request(method, url, headers=headers, data=body, timeout=HANG_SECONDS),
            expected,
        )

    def _log_in(self, username: str, password: str) -> bool:
        url = f"{self._url}/v2/authenticate/login"
        return self._is_acknowledged(
            lambda: requests.get(url, auth=(username, password), timeout=HANG_SECONDS), 200
        )

    @staticmethod
    def _is_acknowledged(call: Callable[[], requests.Response], expected: int) -> bool:
        try:
            response = call()
        except requests.ConnectionError:
            return False
        if response.status_code not in {expected, 503}:
            raise Unexpected(f"{response.request.method} {response.url}: {response.status_code}")
        return response.status_code == expected


def _lines(database: Database) -> Iterable[tuple[str | None, str, str]]:
    for line in read_audit(database):
        action = line.action.replace("signing_key.rotated", "signing_key.created")
        yield line.account, action, line.subject


def _when_available(action: Callable[[], None]) -> Callable[[], None]:
    """Returns the action, wrapped so that it may fail while the database is unavailable."""
    never = threading.Event()

    def attempt() -> None:
        try:
            action()
        except Unavailable:
            never.wait(_PAUSE_SECONDS)

    return attempt
