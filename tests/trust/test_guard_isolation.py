"""Only an account's own credentials give access: every operation with every wrong credential."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from statistics import quantiles
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from requests import Response
from sqlalchemy import Connection, insert, select

from ccs_server.domain.credentials import key_id_of
from ccs_server.settings import Settings
from ccs_server.store import credentials
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import ALGORITHM, SigningKey, load_signing_keys
from ccs_server.store.tables import (
    api_key,
    change,
    change_floor,
    change_head,
    change_new,
    deleted_namespace,
    idempotent_response,
    job,
    lease,
    namespace,
    property_,
    search_entry,
    session_ttl,
    webhook,
    webhook_secret,
)
from tests.api.test_openapi import described_by_the_application
from tests.support.jobs import held_erasure
from tests.support.service import Account, Server, new_account
from tests.trust.conftest import Form, Record
from tests.trust.operations import (
    BASIC,
    EITHER,
    KEY,
    OPEN,
    TOKEN,
    Operation,
    Place,
    fill,
    operations,
)
from tests.trust.reliability import Topic

OPERATIONS = list(operations(described_by_the_application()))
GUARDED = [operation for operation in OPERATIONS if operation.credential in {KEY, TOKEN, EITHER}]

Headers = dict[str, str]

MEASUREMENTS = 3


@dataclass(frozen=True)
class Actors:
    """The attacked account, the attacking account, and the credentials that the attacker has or can forge."""

    victim: Account
    attacker: Account
    database: Database
    signing_key: SigningKey

    def token(self, key: object = None, algorithm: str = ALGORITHM, **claims: object) -> str:
        """Returns a token of the victim's user, with optionally forged claims, key and algorithm."""
        now = int(time.time())
        content = {
            "sub": self.victim.username,
            "tenantId": self.victim.id,
            "iat": now,
            "exp": now + 600,
        }
        return jwt.encode(
            {name: claim for name, claim in (content | claims).items() if claim is not None},
            key if key is not None else self.signing_key.private_key,  # type: ignore[arg-type]
            algorithm,
            headers={"kid": self.signing_key.key_id},
        )

    def tampered(self) -> str:
        """Returns the attacker's token with its claims changed to the victim's account."""
        head, claims, signature = self.attacker.token.split(".")
        changed = json.loads(urlsafe_b64decode(claims + "==")) | {"tenantId": self.victim.id}
        return ".".join([head, _base64(json.dumps(changed).encode()), signature])

    def unsigned(self) -> str:
        """Returns a token of the victim with `alg: none` and without a signature."""
        head = _base64(
            json.dumps({"alg": "none", "typ": "JWT", "kid": self.signing_key.key_id}).encode()
        )
        return f"{head}.{self.token().split('.')[1]}."

    def signed_by_the_public_key(self) -> str:
        """Returns a token signed by HMAC with the public key, for a verifier that trusts the token's algorithm."""
        public = self.signing_key.public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return self.token(public, "HS256")

    def revoked_key(self) -> str:
        made = credentials.create_key(self.database, self.victim.id)
        credentials.revoke_key(self.database, self.victim.id, made.key_id)
        return made.key

    def of_a_revoked_user(self) -> str:
        made = credentials.create_credential(self.database, self.victim.id)
        token = self.token(sub=made.username)
        credentials.revoke_credential(self.database, self.victim.id, made.username)
        return token


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _key(key: str) -> Headers:
    return {"maven-api-key": key}


def _bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


# For each kind of operation: the name of the credential, how it is created, and the expected status.
CREDENTIALS: dict[str, list[tuple[str, Callable[[Actors], Headers], int]]] = {
    KEY: [
        ("none", lambda _: {}, 401),
        ("empty", lambda _: _key(""), 401),
        ("garbage", lambda _: _key("garbage"), 403),
        ("an unknown key", lambda _: _key(f"ccs_{'a' * 12}_{'b' * 43}"), 403),
        ("a wrong secret", lambda actors: _key(actors.victim.key[:-1] + "!"), 403),
        (
            "another secret",
            lambda actors: _key(actors.victim.key[:17] + actors.attacker.key[17:]),
            403,
        ),
        ("revoked", lambda actors: _key(actors.revoked_key()), 403),
        ("another account's", lambda actors: _key(actors.attacker.key), 403),
        ("a v2 token as key", lambda actors: _key(actors.victim.token), 403),
        ("a v2 token", lambda actors: _bearer(actors.victim.token), 401),
        ("the v2 password", lambda actors: _key(actors.victim.password), 403),
    ],
    TOKEN: [
        ("none", lambda _: {}, 401),
        ("empty", lambda _: _bearer(""), 401),
        ("garbage", lambda _: _bearer("garbage"), 401),
        ("three dots", lambda _: _bearer(".."), 401),
        ("expired", lambda actors: _bearer(actors.token(exp=int(time.time()) - 1)), 401),
        ("without an end", lambda actors: _bearer(actors.token(exp=None)), 401),
        ("of no user", lambda actors: _bearer(actors.token(sub=None)), 401),
        (
            "of a user of another account",
            lambda actors: _bearer(actors.token(sub=actors.attacker.username)),
            401,
        ),
        ("of a revoked user", lambda actors: _bearer(actors.of_a_revoked_user()), 401),
        ("another account's", lambda actors: _bearer(actors.attacker.token), 403),
        ("by another key", lambda actors: _bearer(actors.token(Ed25519PrivateKey.generate())), 401),
        ("unsigned", lambda actors: _bearer(actors.unsigned()), 401),
        (
            "by HMAC with the public key",
            lambda actors: _bearer(actors.signed_by_the_public_key()),
            401,
        ),
        ("tampered", lambda actors: _bearer(actors.tampered()), 401),
        ("a v1 key as token", lambda actors: _bearer(actors.victim.key), 401),
        ("a v1 key", lambda actors: _key(actors.victim.key), 401),
        ("user and password", lambda actors: _basic(actors.victim), 401),
    ],
}
# The extension takes keys and tokens. It prefers a token, even a bad one beside a good key.
_SAME_FOR_BOTH = {"none", "empty", "a v2 token", "a v1 key", "a v2 token as key"}
CREDENTIALS[EITHER] = [
    ("none", lambda _: {}, 401),
    ("a v2 token as key", lambda actors: _key(actors.victim.token), 403),
    ("a bad token beside a good key", lambda a: _key(a.victim.key) | _bearer("garbage"), 401),
    *(each for kind in (KEY, TOKEN) for each in CREDENTIALS[kind] if each[0] not in _SAME_FOR_BOTH),
]


def _basic(account: Account) -> Headers:
    pair = f"{account.username}:{account.password}".encode()
    return {"Authorization": f"Basic {urlsafe_b64encode(pair).decode()}"}


@contextmanager
def _new_actors(server: Server, database: Database) -> Iterator[Actors]:
    with (
        new_account(server, database, "admin") as victim,
        new_account(server, database, "admin") as attacker,
    ):
        fill(victim, Place(victim.id))
        _add_webhook(database, Place(victim.id))
        key = load_signing_keys(database, Settings().token_lifetime).newest
        yield Actors(victim, attacker, database, key)


def _add_webhook(database: Database, place: Place) -> None:
    key = {"account": place.account, "id": place.webhook_id}
    with database.begin() as connection:
        row = {**key, "url": "https://bot.example/", "epoch": 0, "pos": 0}
        connection.execute(insert(webhook).values(row))


@pytest.fixture(scope="module")
def actors(server: Server, database: Database) -> Iterator[Actors]:
    """Shared by the tests that change nothing of the victim's."""
    with _new_actors(server, database) as actors:
        yield actors


def _all_of(actors: Actors) -> list[list[str]]:
    """Returns all rows of the victim in the database."""
    with actors.database.engine.connect() as connection:
        return [
            sorted(
                map(
                    repr,
                    connection.execute(select(table).where(table.c.account == actors.victim.id)),
                )
            )
            for table in (
                namespace,
                session_ttl,
                property_,
                deleted_namespace,
                lease,
                idempotent_response,
                change_new,
                change,
                change_head,
                change_floor,
                webhook,
                webhook_secret,
                job,
                search_entry,
            )
        ] + [_valid_keys(connection, actors.victim)]


def _valid_keys(connection: Connection, account: Account) -> list[str]:
    columns = api_key.c
    valid = select(columns.key_id, columns.expires_at).where(
        columns.account == account.id, columns.revoked_at.is_(None)
    )
    return sorted(map(repr, connection.execute(valid)))


def _call(
    actors: Actors, operation: Operation, headers: Headers, place: Place, **options: Any
) -> Response:
    return actors.victim.call(
        operation.method, operation.target(place), headers, **operation.arguments(place), **options
    )


def test_every_operation_declares_its_credentials() -> None:
    public = {str(operation) for operation in OPERATIONS if operation.credential == OPEN}
    assert public == {"GET /.well-known/jwks.json"}
    assert {o.path for o in OPERATIONS if o.credential == BASIC} == {"/v2/authenticate/login"}
    assert all(operation.address for operation in GUARDED)


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_wrong_credentials_are_refused_by_every_operation(
    actors: Actors, operation: Operation
) -> None:
    place = Place(actors.victim.id)
    before = _all_of(actors)
    for name, make, status in CREDENTIALS[operation.credential]:
        response = _call(actors, operation, make(actors), place)
        assert response.status_code == status, (name, response.text)
        assert response.json()["code"] == status
        assert "of the session" not in response.text, name
        assert "of the namespace" not in response.text, name
    assert _all_of(actors) == before


@pytest.mark.parametrize("operation", [o for o in GUARDED if o.credential == TOKEN], ids=str)
def test_wrong_tokens_in_the_query_are_refused_by_every_operation(
    actors: Actors, operation: Operation
) -> None:
    before = _all_of(actors)
    for token, status in (
        (actors.attacker.token, 403),
        (actors.tampered(), 401),
        (actors.unsigned(), 401),
    ):
        response = _call(
            actors, operation, {}, Place(actors.victim.id), params={"access_token": token}
        )
        assert response.status_code == status
    assert _all_of(actors) == before


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_the_right_credential_is_accepted(
    server: Server, database: Database, operation: Operation
) -> None:
    """Without this test, the refusals above would prove nothing."""
    with _new_actors(server, database) as actors:
        victim = actors.victim
        headers = _bearer(victim.token) if operation.credential == TOKEN else _key(victim.key)
        key_id = key_id_of(victim.key)
        assert key_id
        queued = held_erasure(database, victim.id, values=["x"])
        place = Place(victim.id, key_id=key_id, job_id=queued.id)
        assert _call(actors, operation, headers, place).status_code in {200, 201, 202, 204}


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_responses_do_not_reveal_another_accounts_data(
    actors: Actors, operation: Operation
) -> None:
    attacker = actors.attacker
    headers = _bearer(attacker.token) if operation.credential == TOKEN else _key(attacker.key)
    places = [
        Place(actors.victim.id),
        Place(actors.victim.id, namespace="absent", session="absent", name="absent"),
        Place("absent-account"),
    ]
    responses = [_call(actors, operation, headers, place) for place in places]
    assert len({response.content for response in responses}) == 1
    assert len({tuple(_telling(response)) for response in responses}) == 1


def _telling(response: Response) -> Iterator[tuple[str, str]]:
    yield from ((k, v) for k, v in response.headers.items() if k not in {"x-request-id", "date"})


def _time_calls(
    one: Callable[[], Response],
    other: Callable[[], Response],
    rounds: int,
    times: tuple[list[float], list[float]],
) -> None:
    """Adds the durations in seconds of two calls, which must be refused, to `times`."""
    for turn in range(rounds):
        # The first of the two calls alternates, so that warm caches favour neither.
        for which in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            assert (one, other)[which]().status_code == 403
            times[which].append(time.perf_counter() - began)


def test_response_times_do_not_reveal_another_accounts_data(
    actors: Actors, form: Form, record: Record
) -> None:
    """Medians of interleaved calls differ by less than a tenth of a millisecond, or by less than a tenth.

    On a busy machine a few calls also differ by chance. That difference shrinks with more calls; a real one remains.
    The short form runs beside other tests, which make most calls slower, but not the fastest tenth: it compares these.
    """
    rounds = form(short=80, full=3000)
    parts = form(short=10, full=2)
    reading = next(
        o for o in GUARDED if str(o).endswith("{session}/properties") and o.method == "GET"
    )
    there, absent = Place(actors.victim.id), Place(f"absent-{token_hex(4)}", namespace="absent")
    wrong_secret, of_nobody = actors.victim.key[:17] + "b" * 43, f"ccs_{'a' * 12}_{'b' * 43}"
    pairs: dict[str, tuple[Callable[[], Response], Callable[[], Response]]] = {
        "account": (
            lambda: _call(actors, reading, _key(actors.attacker.key), there),
            lambda: _call(actors, reading, _key(actors.attacker.key), absent),
        ),
        "key": (
            lambda: _call(actors, reading, _key(wrong_secret), there),
            lambda: _call(actors, reading, _key(of_nobody), there),
        ),
    }
    differences = []
    for name, (one, other) in pairs.items():
        times: tuple[list[float], list[float]] = [], []
        for _ in range(MEASUREMENTS):
            _time_calls(one, other, rounds, times)
            usual = [quantiles(durations, n=parts)[0] for durations in times]
            difference = abs(usual[0] - usual[1])
            bound = max(0.0001, 0.1 * max(usual))
            if difference < bound:
                break
        assert difference < bound, (name, usual)
        differences.append(f"{name} {difference * 1e6:.0f} µs of {max(usual) * 1e6:.0f}")
    tried = sum(len(CREDENTIALS[operation.credential]) for operation in GUARDED)
    record(
        Topic.ISOLATION,
        "Every operation with every wrong credential: 401 or 403, nothing changed, nothing revealed by text or timing",
        f"{len(GUARDED)} operations, {tried} refusals; medians of existing and absent data differ by: "
        f"{', '.join(differences)}",
    )
