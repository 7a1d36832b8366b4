"""`ccs backup` while clients write, then `ccs restore` into another database: all data is restored and works."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from shlex import quote
from time import monotonic

import pytest
import requests

from ccs_server.embedded import EmbeddedPostgres
from ccs_server.settings import Settings
from ccs_server.store import credentials, schema
from ccs_server.store.database import Database
from tests.support.databases import create_database
from tests.support.service import (
    Account,
    environment,
    new_account,
    serving,
)
from tests.support.waiting import wait_until
from tests.trust import drills
from tests.trust.clients import Client
from tests.trust.conftest import Form, Record
from tests.trust.ledger import Ledger
from tests.trust.reliability import Topic

DRILL = "backup.md", "## To a file"


@dataclass(frozen=True)
class Place:
    """A store: the setting that selects it, and the URL of its database."""

    variable: str
    value: str
    url: str

    @property
    def env(self) -> dict[str, str]:
        """Returns the environment for commands that use this store."""
        settings = {self.variable: self.value, "CCS_ACCESS_LOG": "off"}
        return environment(**settings)


@pytest.fixture(params=["external", "embedded"])
def places(
    request: pytest.FixtureRequest,
    cluster: EmbeddedPostgres,
    form: Form,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, Place, Place]]:
    """The directory for backups, and two empty stores: one to back up, one to restore into."""
    directory = tmp_path_factory.mktemp("b")
    if request.param == "external":
        urls = [create_database(cluster, f"drill_{token_hex(6)}") for _ in range(2)]
        schema.migrate(urls[0])
        first, second = (Place("CCS_DATABASE_URL", url, url) for url in urls)
        yield directory, first, second
        return
    if not form.is_full:
        pytest.skip("two clusters more: in the full form")
    data_dirs = [directory / name for name in ("data", "restored")]
    first, second = (
        Place("CCS_DATA_DIR", str(data), EmbeddedPostgres(data).url) for data in data_dirs
    )
    yield directory, first, second
    for data in data_dirs:
        with EmbeddedPostgres(data):
            pass


def document(account: Account, **fields: object) -> requests.Response:
    """Returns the body of a v2 save."""
    place = {"accountId": account.id, "nameSpace": "drill_v2", "payload": {"a": 1}}
    return account.v2("POST", "/context/document/create", json=place | fields)


def lists(account: Account) -> list[object]:
    """Returns names, times to live, expiries and values, as a client lists them."""
    v1 = ("", "/namespace/drill/session", "/drill/session-properties")
    responses = [account.v1("GET", path) for path in v1]
    responses.append(account.v2("GET", f"/context/document/{account.id}/drill_v2"))
    assert [response.status_code for response in responses] == [200] * len(responses)
    return [response.json() for response in responses]


def fill(account: Account) -> None:
    """Saves namespaces and sessions with times to live, and documents that expire."""
    for method, path, content in (
        ("POST", "?ttlSecond=86400", {"name": "drill"}),
        ("POST", "/namespace/drill/session?ttlSecond=1000", {"sessionId": "s"}),
        ("PATCH", "/drill/s/properties", {"digits": 10**30, "text": "é\n🙂", "null": None}),
    ):
        assert account.v1(method, path, json=content).status_code == 204
    assert document(account, ttlSeconds=5000).status_code == 201
    assert document(account, sessionId="brief", ttlSeconds=2).status_code == 201


def test_writes_acknowledged_before_a_backup_exist_after_the_restore(
    places: tuple[Path, Place, Place], form: Form, record: Record
) -> None:
    directory, first, second = places
    workers = form(short="1", full="2")
    back_up, restore = drills.blocks(
        *DRILL,
        {
            "/var/backups": str(directory),
            "CCS_DATA_DIR=/var/lib/ccs-restored": f"{second.variable}={quote(second.value)}",
        },
    )
    restore, serve, _ = restore.partition("ccs serve\n")
    assert serve, "the drill must end with the start of the service"
    with serving("--workers", workers, env=first.env) as server, ExitStack() as clients:
        database = Database(first.url, Settings())
        account = clients.enter_context(new_account(server, database))
        revoked = credentials.create_key(database, account.id)
        fill(account)
        token = account.token
        ledger = Ledger(lambda: Client(server.url, account.id, account.key), clients)
        with ledger.crowd:
            ledger.await_writes(form(short=100, full=2000))
            began = monotonic()
            output = drills.run(back_up, directory, first.env)
            ended = monotonic()
            ledger.await_writes(form(short=50, full=500))
        listed = lists(account)
        with pytest.raises(AssertionError, match=r"in use by ccs .*; stop every 'ccs serve'"):
            drills.run(f"ccs restore --force {directory}/ccs.backup", directory, first.env)
        assert lists(account) == listed
        credentials.revoke_key(database, account.id, revoked.key_id)
        database.release()
    assert "Backed up" in output
    drills.run(restore, directory, environment())
    with serving("--workers", workers, env=second.env) as server, ExitStack() as clients:
        assert "key" not in server.said, "a restored store must not get a new account"
        account = clients.enter_context(
            Account(server.url, account.id, account.key, account.username, account.password)
        )
        client = Client(server.url, account.id, account.key)
        clients.callback(client.close)
        stored = ledger.stored(client)
        promised = ledger.acknowledged_before(began)
        assert promised <= stored
        assert not stored & ledger.sent_after(ended)
        assert lists(account) == listed
        assert account.token, "the password must work"
        account.__dict__["token"] = token
        assert lists(account) == listed, "a token from before the backup must work"
        brief = f"/context/document/{account.id}/drill_v2/brief"
        wait_until(lambda: account.v2("GET", brief).status_code == 404)
        # As documented in docs/security.md.
        with_revoked = account.call(
            "GET", f"/v1/account/{account.id}", {"maven-api-key": revoked.key}
        )
        assert with_revoked.status_code == 200
        assert account.v1("PUT", "/after/properties/p", json=1).status_code == 204
    record(
        Topic.RESTORE,
        "`ccs backup` while clients write, `ccs restore` into another database, by the commands of the "
        "documentation: every write acknowledged before the backup began is restored, with expiries, times to live, "
        "keys, passwords and tokens; a restore into a database in use is refused.",
        f"{first.variable}: a backup of {ended - began:.1f} s under {ledger.notes.acknowledged:,} acknowledged writes, "
        f"{len(promised):,} of them before it: 0 lost",
    )
