"""docs/operate/move-from-the-vendor.md copies an account by version 1: of our own service, in place of the vendor's."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.pages import DOCS, blocks
from ccs_server.store.database import Database
from docs.examples import export_by_v1
from tests.sdk.test_docs import ROOT
from tests.support.service import Account, Server, environment, new_account

PAGE = DOCS / "operate" / "move-from-the-vendor.md"
VALUES = '{"price": 1.10, "id": 12345678901234567890, "null": null, "ü/?": ["\\u00e9", {"a": {}}]}'


def fill(account: Account) -> None:
    """Saves more sessions than a page has, names that need encoding, and times to live."""
    json_body = {"Content-Type": "application/json"}
    requests = [
        ("POST", "?ttlSecond=86400", '{"name": "airline"}'),
        ("POST", "", '{"name": "empty"}'),
        ("PATCH", "/airline/properties", VALUES),
        *(("PATCH", f"/airline/conv-{n}/properties", VALUES) for n in range(7)),
        ("PATCH", "/airline/caller%20%2B49%3F/properties", '{"a": 1}'),
        ("POST", "/namespace/airline/session?ttlSecond=600", '{"sessionId": "conv-1"}'),
        ("POST", "/namespace/airline/session?ttlSecond=0", '{"sessionId": "later"}'),
        ("PATCH", "/bank/s/properties", '{"a": "b"}'),
    ]
    for method, path, body in requests:
        response = account.v1(method, path, data=body.encode(), headers=json_body)
        assert response.status_code == 204, response.text


def test_an_account_is_copied_with_its_times_to_live_and_each_digit(
    account: Account,
    server: Server,
    database: Database,
    database_url: str,
    tmp_path: Path,
) -> None:
    fill(account)
    with new_account(server, database) as target:
        replacements = {
            "https://vendor.example SOURCE_ACCOUNT=ACCOUNT SOURCE_API_KEY=KEY": (
                f"{account.server_url} SOURCE_ACCOUNT={account.id} SOURCE_API_KEY={account.key}"
            ),
            "ccs import ACCOUNT": f"ccs import {target.id}",
        }
        commands = blocks(PAGE, "## Copy the data", replacements)
        compared = {
            "http://127.0.0.1:8000 SOURCE_ACCOUNT=ACCOUNT SOURCE_API_KEY=NEW_KEY": (
                f"{target.server_url} SOURCE_ACCOUNT={target.id} SOURCE_API_KEY={target.key}"
            ),
        }
        commands += blocks(PAGE, "## Compare", compared)
        script = "\n".join(commands).replace("docs/examples", f"{ROOT}/docs/examples")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["bash", "-e", "-c", script],
            check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60,
            env=environment(CCS_DATABASE_URL=database_url, SOURCE_PER_PAGE="3", PATH=path),
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert ran.stdout.endswith("Both have the same properties and times to live.\n")
        read = target.v1("GET", "/airline/conv-6/properties")
        assert '"price":1.10' in read.text.replace(" ", "")
        assert "12345678901234567890" in read.text
        assert (tmp_path / "account.ndjson").stat().st_mode & 0o077 == 0
        assert target.v1("GET", "/namespace/airline/session").json()[0]["ttlSecond"] == 600


def test_a_key_that_is_not_of_the_account_leaves_no_file(account: Account, tmp_path: Path) -> None:
    source = {"SOURCE_URL": account.server_url, "SOURCE_ACCOUNT": "other"}
    ran = subprocess.run(
        [sys.executable, str(ROOT / "docs/examples/export_by_v1.py"), "account.ndjson"],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env=environment(**source, SOURCE_API_KEY=account.key),
    )  # fmt: skip
    assert ran.returncode == 1
    assert "403" in ran.stderr
    assert not (tmp_path / "account.ndjson").exists()


def test_a_list_that_is_returned_whole_is_read_once() -> None:
    class WithoutPages(export_by_v1.Account):
        def __init__(self) -> None: ...

        def read(self, *_: object, **__: object) -> list[str]:
            return ["s1", "s2", "s3"]

    assert list(WithoutPages().pages("/namespace/airline/session", str)) == ["s1", "s2", "s3"]
