"""Properties expire by the database's clock, regardless of the clocks of the instances."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from typing import Self

import jwt
import pytest
import requests
from sqlalchemy import NullPool, create_engine, make_url, text

from tests.support.clock import Clock
from tests.support.service import Account, Server, environment, serving
from tests.trust.clients import Client
from tests.trust.conftest import Form, Record
from tests.trust.reliability import Topic

# Simulates a wrong machine clock: shifts Python's clocks before any other module is loaded.
_SHIFTED = """
import datetime, os, sys, time, types

shift = float(os.environ["TEST_CLOCK_SHIFT"])
right, right_time = datetime.datetime, time.time

class Type(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, right)

class Shifted(right, metaclass=Type):
    __slots__ = ()
    now = classmethod(lambda cls, tz=None: right.now(tz) + datetime.timedelta(seconds=shift))
    fromtimestamp = right.fromtimestamp

class Module(types.ModuleType):
    @property
    def datetime(self):
        # msgspec describes times by the class itself.
        importing = sys._getframe(1).f_globals["__name__"]
        return right if importing == "ccs_server.api.ext.transfer_schemas" else Shifted

datetime.__class__ = Module
time.time = lambda: right_time() + shift
"""

HOUR = 3600


@pytest.fixture(scope="module")
def instances(
    server: Server, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """Three instances on one database: one with the right clock, one an hour ahead, one an hour behind."""
    shifted = tmp_path_factory.mktemp("shifted")
    (shifted / "sitecustomize.py").write_text(_SHIFTED)
    with ExitStack() as stack:
        running = [server]
        for shift in (HOUR, -HOUR):
            env = environment(
                CCS_DATABASE_URL=database_url,
                PYTHONPATH=str(shifted),
                TEST_CLOCK_SHIFT=str(shift),
            )
            running.append(stack.enter_context(serving("--workers", "1", env=env)))
        yield running


class Observer:
    """Reads properties through every instance, with the database's time before and after each read."""

    def __init__(self, instances: list[Server], account: Account, database_url: str) -> None:
        self._stack = ExitStack()
        self.clients = [
            self._stack.enter_context(closing(Client(i.url, account.id, account.key)))
            for i in instances
        ]
        location = make_url(database_url).set(drivername="postgresql+psycopg")
        engine = create_engine(location, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._database = self._stack.enter_context(engine.connect())
        self._account = account.id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def now(self) -> datetime:
        """Returns the time of the database's movable clock."""
        return self._ask("SELECT now()")

    def expiry(self, name: str) -> datetime:
        """Returns the stored expiry of the property."""
        query = "SELECT expires_at FROM property WHERE account = :account AND name = :name"
        return self._ask(query, account=self._account, name=name)

    def looks(self, client: Client, name: str) -> list[Callable[[], bool]]:
        """Returns all ways to read whether the property `name` of session `s` exists, alone in its namespace."""

        def body(path: str) -> object:
            response = client.v1("GET", path)
            assert response.status == 200
            return json.loads(response.body)

        return [
            lambda: client.v1("GET", f"/clock/s/properties/{name}").status == 200,
            lambda: body("/clock/s/properties") != {},
            lambda: body(f"/clock/s/properties?include={name}") != {},
            lambda: body("/clock/session-ids") != [],
            lambda: body("/clock/session-properties") != [],
        ]

    def _ask(self, query: str, **params: str) -> datetime:
        moment: datetime = self._database.execute(text(query), params).scalar_one()
        return moment


def test_properties_expire_by_the_databases_clock(
    instances: list[Server],
    account: Account,
    database_url: str,
    clock: Clock,
    form: Form,
    record: Record,
) -> None:
    rounds = form(short=1, full=15)
    ttl = timedelta(seconds=1000)
    close = timedelta(milliseconds=100)
    last_seen = first_gone = timedelta.max
    looked = 0
    with Observer(instances, account, database_url) as observer:
        path = f"?ttlSecond={ttl.total_seconds():.0f}"
        assert observer.clients[0].v1("POST", path, {"name": "clock"}).status == 204
        for number in range(rounds):
            for writer_number, writer in enumerate(observer.clients):
                name = f"p{number}-{writer_number}"
                before = observer.now()
                assert writer.v1("PUT", f"/clock/s/properties/{name}", number).status == 204
                expiry = observer.expiry(name)
                assert before + ttl <= expiry <= observer.now() + ttl
                clock.advance(seconds=(expiry - observer.now() - close).total_seconds())
                looks = [look for each in observer.clients for look in observer.looks(each, name)]
                assert all(look() for look in looks) or observer.now() >= expiry
                gone = False
                while not gone:
                    seen = []
                    for look in looks:
                        began = observer.now()
                        seen.append(look())
                        ended = observer.now()
                        looked += 1
                        if seen[-1]:
                            assert began < expiry, "visible late"
                            last_seen = min(last_seen, expiry - began)
                        else:
                            assert ended >= expiry, "gone early"
                            first_gone = min(first_gone, ended - expiry)
                    gone = not any(seen)
    record(
        Topic.CLOCK,
        "A property exists until its expiry by the database's clock and not afterwards, for every read and list, "
        "through instances whose clocks are right, an hour ahead and an hour behind.",
        f"{rounds * len(instances)} expiries, {looked:,} reads around them: none late, none early; visible until "
        f"{last_seen.total_seconds() * 1000:.1f} ms before, gone from {first_gone.total_seconds() * 1000:.1f} ms after",
    )


def test_a_token_is_valid_at_every_instance(instances: list[Server], account: Account) -> None:
    """The times in a token come from the instance that issued it. A token of a fast clock must be valid at once."""
    password = b64encode(f"{account.username}:{account.password}".encode()).decode()
    issued = []
    for issuer in instances:
        response = requests.post(
            f"{issuer.url}/v2/authenticate/login",
            headers={"Authorization": f"Basic {password}"},
            timeout=10,
        )
        token = response.json()["token"]
        issued.append(jwt.decode(token, options={"verify_signature": False})["iat"])
        for other in instances:
            url = f"{other.url}/v2/context/document/{account.id}/nothing_here"
            assert requests.get(url, params={"access_token": token}, timeout=10).status_code == 404
    shifts = [round((each - issued[0]) / HOUR) for each in issued]
    assert shifts == [0, 1, -1], "the clocks of the instances must differ"
