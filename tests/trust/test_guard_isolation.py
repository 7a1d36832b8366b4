"""No credential but an account's own opens it: every operation of the document by every wrong credential."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from secrets import token_hex
from statistics import median
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from requests import Response
from sqlalchemy import select

from ccs_server.settings import Settings
from ccs_server.store import credentials
from ccs_server.store.database import Database
from ccs_server.store.signing_keys import ALGORITHM, SigningKey, load_signing_keys
from ccs_server.store.tables import deleted_namespace, namespace, property_, session_ttl
from tests.api.test_openapi import described_by_the_application
from tests.support.service import Account
from tests.trust.conftest import Form, Record
from tests.trust.operations import BASIC, KEY, OPEN, TOKEN, Operation, Place, fill, operations
from tests.trust.reliability import Topic

OPERATIONS = list(operations(described_by_the_application()))
GUARDED = [operation for operation in OPERATIONS if operation.credential in {KEY, TOKEN}]

Headers = dict[str, str]


@dataclass(frozen=True)
class Cast:
    """The account that is attacked, one that attacks it, and what the attacker can lay hands on or forge."""

    victim: Account
    attacker: Account
    database: Database
    signing_key: SigningKey

    def token(self, key: object = None, algorithm: str = ALGORITHM, **claims: object) -> str:
        """A token of the victim's user; everything about it can be forged."""
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
        """The attacker's own token, its claims changed to the victim's account."""
        head, claims, signature = self.attacker.token.split(".")
        changed = json.loads(urlsafe_b64decode(claims + "==")) | {"tenantId": self.victim.id}
        return ".".join([head, _base64(json.dumps(changed).encode()), signature])

    def unsigned(self) -> str:
        """A token of the victim's, `alg: none`, with no signature."""
        head = _base64(
            json.dumps({"alg": "none", "typ": "JWT", "kid": self.signing_key.key_id}).encode()
        )
        return f"{head}.{self.token().split('.')[1]}."

    def signed_by_the_public_key(self) -> str:
        """A token signed by HMAC with what everybody knows, for a verifier that lets the token choose how."""
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


# By the kind of operation that it is tried on: what it is called, how it is made, what it is answered.
CREDENTIALS: dict[str, list[tuple[str, Callable[[Cast], Headers], int]]] = {
    KEY: [
        ("none", lambda _: {}, 401),
        ("empty", lambda _: _key(""), 401),
        ("garbage", lambda _: _key("garbage"), 403),
        ("a key of nobody", lambda _: _key(f"ccs_{'a' * 12}_{'b' * 43}"), 403),
        ("a wrong secret", lambda cast: _key(cast.victim.key[:-1] + "!"), 403),
        ("another secret", lambda cast: _key(cast.victim.key[:17] + cast.attacker.key[17:]), 403),
        ("revoked", lambda cast: _key(cast.revoked_key()), 403),
        ("another account's", lambda cast: _key(cast.attacker.key), 403),
        ("a v2 token as key", lambda cast: _key(cast.victim.token), 403),
        ("a v2 token", lambda cast: _bearer(cast.victim.token), 401),
        ("the v2 password", lambda cast: _key(cast.victim.password), 403),
    ],
    TOKEN: [
        ("none", lambda _: {}, 401),
        ("empty", lambda _: _bearer(""), 401),
        ("garbage", lambda _: _bearer("garbage"), 401),
        ("three dots", lambda _: _bearer(".."), 401),
        ("expired", lambda cast: _bearer(cast.token(exp=int(time.time()) - 1)), 401),
        ("without an end", lambda cast: _bearer(cast.token(exp=None)), 401),
        ("of no user", lambda cast: _bearer(cast.token(sub=None)), 401),
        (
            "of a user of another account",
            lambda cast: _bearer(cast.token(sub=cast.attacker.username)),
            401,
        ),
        ("of a revoked user", lambda cast: _bearer(cast.of_a_revoked_user()), 401),
        ("another account's", lambda cast: _bearer(cast.attacker.token), 403),
        ("by another key", lambda cast: _bearer(cast.token(Ed25519PrivateKey.generate())), 401),
        ("unsigned", lambda cast: _bearer(cast.unsigned()), 401),
        ("by HMAC with the public key", lambda cast: _bearer(cast.signed_by_the_public_key()), 401),
        ("tampered", lambda cast: _bearer(cast.tampered()), 401),
        ("a v1 key as token", lambda cast: _bearer(cast.victim.key), 401),
        ("a v1 key", lambda cast: _key(cast.victim.key), 401),
        ("user and password", lambda cast: _basic(cast.victim), 401),
    ],
}


def _basic(account: Account) -> Headers:
    pair = f"{account.username}:{account.password}".encode()
    return {"Authorization": f"Basic {urlsafe_b64encode(pair).decode()}"}


@pytest.fixture
def cast(account: Account, other_account: Account, database: Database) -> Cast:
    fill(account, Place(account.id))
    key = load_signing_keys(database, Settings().token_lifetime).newest
    return Cast(account, other_account, database, key)


def _all_of(cast: Cast) -> list[list[str]]:
    """Every row of the victim's, as it is in the database."""
    with cast.database.engine.connect() as connection:
        return [
            sorted(
                map(
                    repr, connection.execute(select(table).where(table.c.account == cast.victim.id))
                )
            )
            for table in (namespace, session_ttl, property_, deleted_namespace)
        ]


def _call(
    cast: Cast, operation: Operation, headers: Headers, place: Place, **options: Any
) -> Response:
    return cast.victim.call(
        operation.method, operation.target(place), headers, **operation.arguments(place), **options
    )


def test_every_operation_says_who_may_use_it() -> None:
    public = {str(operation) for operation in OPERATIONS if operation.credential == OPEN}
    assert public == {"GET /.well-known/jwks.json"}
    assert {o.path for o in OPERATIONS if o.credential == BASIC} == {"/v2/authenticate/login"}
    assert all(operation.address for operation in GUARDED)


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_no_wrong_credential_opens_an_operation(cast: Cast, operation: Operation) -> None:
    place = Place(cast.victim.id)
    before = _all_of(cast)
    for name, make, status in CREDENTIALS[operation.credential]:
        answer = _call(cast, operation, make(cast), place)
        assert answer.status_code == status, (name, answer.text)
        assert answer.json()["code"] == status
        assert "of the session" not in answer.text, name
        assert "of the namespace" not in answer.text, name
    assert _all_of(cast) == before


@pytest.mark.parametrize("operation", [o for o in GUARDED if o.credential == TOKEN], ids=str)
def test_no_wrong_token_in_the_query_opens_an_operation(cast: Cast, operation: Operation) -> None:
    before = _all_of(cast)
    for token, status in (
        (cast.attacker.token, 403),
        (cast.tampered(), 401),
        (cast.unsigned(), 401),
    ):
        answer = _call(cast, operation, {}, Place(cast.victim.id), params={"access_token": token})
        assert answer.status_code == status
    assert _all_of(cast) == before


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_the_right_credential_opens_it(cast: Cast, operation: Operation) -> None:
    """Else the refusals above would prove nothing."""
    headers = _key(cast.victim.key) if operation.credential == KEY else _bearer(cast.victim.token)
    assert _call(cast, operation, headers, Place(cast.victim.id)).status_code in {200, 201, 204}


@pytest.mark.parametrize("operation", GUARDED, ids=str)
def test_an_answer_does_not_tell_what_another_account_has(cast: Cast, operation: Operation) -> None:
    attacker = cast.attacker
    headers = _key(attacker.key) if operation.credential == KEY else _bearer(attacker.token)
    places = [
        Place(cast.victim.id),
        Place(cast.victim.id, namespace="absent", session="absent", name="absent"),
        Place("absent-account"),
    ]
    answers = [_call(cast, operation, headers, place) for place in places]
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(_telling(answer)) for answer in answers}) == 1


def _telling(answer: Response) -> Iterator[tuple[str, str]]:
    yield from ((k, v) for k, v in answer.headers.items() if k not in {"x-request-id", "date"})


def test_the_time_does_not_tell_either(cast: Cast, form: Form, record: Record) -> None:
    """Medians of interleaved calls differ by less than a tenth of a millisecond, or of themselves."""
    rounds = form(short=80, full=3000)
    reading = next(
        o for o in GUARDED if str(o).endswith("{session}/properties") and o.method == "GET"
    )
    there, absent = Place(cast.victim.id), Place(f"absent-{token_hex(4)}", namespace="absent")
    wrong_secret, of_nobody = cast.victim.key[:17] + "b" * 43, f"ccs_{'a' * 12}_{'b' * 43}"
    pairs: dict[str, tuple[Callable[[], Response], Callable[[], Response]]] = {
        "account": (
            lambda: _call(cast, reading, _key(cast.attacker.key), there),
            lambda: _call(cast, reading, _key(cast.attacker.key), absent),
        ),
        "key": (
            lambda: _call(cast, reading, _key(wrong_secret), there),
            lambda: _call(cast, reading, _key(of_nobody), there),
        ),
    }
    differences = []
    for name, (one, other) in pairs.items():
        times: tuple[list[float], list[float]] = [], []
        for turn in range(rounds):
            # By turns first, so that what the first call leaves warm favours neither.
            for which in (0, 1) if turn % 2 else (1, 0):
                began = time.perf_counter()
                assert (one, other)[which]().status_code == 403
                times[which].append(time.perf_counter() - began)
        medians = median(times[0]), median(times[1])
        difference = abs(medians[0] - medians[1])
        assert difference < max(0.0001, 0.1 * max(medians)), (name, medians)
        differences.append(f"{name} {difference * 1e6:.0f} µs of {max(medians) * 1e6:.0f}")
    tried = sum(len(CREDENTIALS[operation.credential]) for operation in GUARDED)
    record(
        Topic.ISOLATION,
        "Every operation by every wrong credential: 401 or 403, nothing changed, nothing told by text or time",
        f"{len(GUARDED)} operations, {tried} refusals; medians differ by what is there: {', '.join(differences)}",
    )
