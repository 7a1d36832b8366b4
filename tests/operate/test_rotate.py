"""The commands of docs/operate/rotate.md replace every secret while the service runs, and its clients go on."""

import json
import os
import shlex
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from secrets import token_hex
from types import MappingProxyType
from typing import Any

import pytest
import requests

from benchmarks.pages import DOCS, blocks
from ccs_server.embedded import programs
from tests.support.databases import Cluster, create_database
from tests.support.service import CCS, TIMEOUT_SECONDS, Server, ccs, environment, serving
from tests.support.waiting import wait_until

PAGE = DOCS / "operate" / "rotate.md"
CACHE_SECONDS = "0.1"
NONE: Mapping[str, str] = MappingProxyType({})


@pytest.fixture(scope="module")
def env(cluster: Cluster) -> dict[str, str]:
    env = _environment(create_database(cluster, f"rotated_{token_hex(6)}"))
    assert ccs("migrate", env=env).returncode == 0
    return env


def _environment(database_url: str) -> dict[str, str]:
    return environment(
        CCS_DATABASE_URL=database_url,
        CCS_SECRET_KEY=new_secret(),
        CCS_CREDENTIAL_CACHE=CACHE_SECONDS,
        PATH=f"{programs()}:{os.defpath}",
    )


def new_secret() -> str:
    return b64encode(os.urandom(32)).decode()


@pytest.fixture(scope="module")
def service(env: dict[str, str]) -> Iterator[Server]:
    with serving("--workers", "1", env=env) as server:
        yield server


def run(
    heading: str, env: dict[str, str], replacements: Mapping[str, str] = NONE, block: int = 0
) -> str:
    """Runs a block of the page, with `ccs` of this checkout. Returns its output."""
    commands = blocks(PAGE, heading, replacements)[block]
    script = f'ccs() {{ {shlex.join(CCS)} "$@"; }}\n{commands}'
    done = subprocess.run(
        ["/bin/sh", "-euc", script],
        check=False, capture_output=True, text=True, env=env, timeout=4 * TIMEOUT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def made(output: str) -> dict[str, Any]:
    """The JSON object that a command has printed."""
    (line,) = (line for line in output.splitlines() if line.startswith("{"))
    found: dict[str, Any] = json.loads(line)
    return found


def v1(server: Server, key: str) -> int:
    url = f"{server.url}/v1/account/demo/orders/properties"
    return requests.get(url, headers={"maven-api-key": key}, timeout=TIMEOUT_SECONDS).status_code


def log_in(server: Server, user: dict[str, Any]) -> requests.Response:
    return requests.post(
        f"{server.url}/v2/authenticate/login",
        auth=(user["username"], user["password"]),
        timeout=TIMEOUT_SECONDS,
    )


def v2(server: Server, token: str) -> int:
    """The status of a document that is not there: 404 with a valid token."""
    return requests.get(
        f"{server.url}/v2/context/document/demo/orders",
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_SECONDS,
    ).status_code


def test_a_key_is_replaced_while_both_work_and_a_leaked_one_ends_at_once(
    service: Server, env: dict[str, str]
) -> None:
    old = made(ccs("keys", "create", "demo", "--json", env=env).stdout)
    new = made(run("## Keys of an account", env, {"KEY_ID": old["key_id"]}))
    assert (v1(service, old["key"]), v1(service, new["key"])) == (200, 200)
    audit = run("## Keys of an account", env, {"KEY_ID": new["key_id"]}, 1)
    assert "key.rotated" in audit
    wait_until(lambda: v1(service, new["key"]) == 403)
    assert v1(service, made(audit)["key"]) == 200


def test_a_user_is_replaced_and_the_tokens_of_the_old_one_end(
    service: Server, env: dict[str, str]
) -> None:
    old = made(ccs("credentials", "create", "demo", "--json", env=env).stdout)
    token = log_in(service, old).json()["token"]
    new = made(run("## Users of version 2", env))
    newer = log_in(service, new).json()["token"]
    assert (v2(service, token), v2(service, newer)) == (404, 404)
    run("## Users of version 2", env, {"OLD_USER": old["username"]}, 1)
    wait_until(lambda: (log_in(service, old).status_code, v2(service, token)) == (401, 401))
    assert v2(service, newer) == 404


def test_signing_keys_are_replaced_without_and_with_the_end_of_their_tokens(
    service: Server, env: dict[str, str]
) -> None:
    user = made(ccs("credentials", "create", "demo", "--json", env=env).stdout)
    token = log_in(service, user).json()["token"]
    run("## The signing key", env)
    wait_until(lambda: v2(service, log_in(service, user).json()["token"]) == 404)
    assert v2(service, token) == 404
    run("## The signing key", env, block=1)
    wait_until(lambda: v2(service, token) == 401)
    wait_until(lambda: v2(service, log_in(service, user).json()["token"]) == 404)


def test_the_secret_key_is_replaced_without_a_new_signing_key(own_url: str) -> None:
    env = _environment(own_url)
    old, new = env["CCS_SECRET_KEY"], new_secret()
    with serving("--workers", "1", env=env) as server:
        user = made(ccs("credentials", "create", "demo", "--json", env=env).stdout)
        token = log_in(server, user).json()["token"]
    for keys in (f"{old},{new}", f"{new},{old}"):
        with serving("--workers", "1", env=env | {"CCS_SECRET_KEY": keys}) as server:
            assert v2(server, token) == 404
    run("## The secret key", env | {"CCS_SECRET_KEY": f"{new},{old}"})
    with serving("--workers", "1", env=env | {"CCS_SECRET_KEY": new}) as server:
        assert v2(server, token) == 404


def test_the_password_of_the_database_is_replaced_without_cutting_connections(
    service: Server, env: dict[str, str]
) -> None:
    key = made(ccs("keys", "create", "demo", "--json", env=env).stdout)["key"]
    assert v1(service, key) == 200
    role = f"ccs_{os.urandom(4).hex()}"
    subprocess.run(
        ["psql", env["CCS_DATABASE_URL"], "-c", f"CREATE ROLE {role} LOGIN"],
        check=True, capture_output=True, env=env,
    )  # fmt: skip
    run("## The database's password", env, {"ROLE ccs": f"ROLE {role}", "NEW_PASSWORD": "new"})
    assert v1(service, key) == 200
