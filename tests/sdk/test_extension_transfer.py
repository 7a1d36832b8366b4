"""`client.export` and `client.import_from`: files, resuming, progress, errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccs_sdk import (
    BadRequestError,
    ContextClient,
    ImportResult,
    TooLargeError,
    _lines,
)
from tests.support.service import Account

pytestmark = pytest.mark.usefixtures("both")

SESSIONS = 15
LINES = 1 + 2 * SESSIONS


@pytest.fixture
def filled(client: ContextClient) -> ContextClient:
    for number in range(SESSIONS):
        client.namespace("orders").session(f"s{number:02}é").update({"a": 1, "b": [None]})
    return client


@pytest.fixture
def other(other_account: Account) -> Iterator[ContextClient]:
    account = other_account
    with ContextClient(account.server_url, account.id, api_key=account.key) as client:
        yield client


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and requests of a few lines."""
    monkeypatch.setattr(_lines, "_LINES_OF_A_PAGE", 7)
    monkeypatch.setattr(_lines, "_LINES_AT_ONCE", 7)


@pytest.mark.usefixtures("small")
def test_what_is_exported_is_imported_into_another_account(
    filled: ContextClient, other: ContextClient, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.ndjson", str(tmp_path / "two.ndjson")
    exported: list[int] = []
    assert filled.export(one, progress=exported.append) == LINES == exported[-1]
    assert exported == sorted(exported)
    assert len(exported) == 5
    assert one.stat().st_mode & 0o777 == 0o600
    imported: list[int] = []
    assert other.import_from(one, progress=imported.append) == ImportResult(LINES, 0)
    assert imported[-1] == len(one.read_bytes().splitlines())
    assert other.import_from(str(one), keep=True) == ImportResult(0, LINES)
    other.export(two)
    assert _data(Path(two)) == _data(one)
    assert not [*tmp_path.glob("*.part")]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("cut", [0, 1, 500, 1500, -1, -20])
def test_an_interrupted_export_is_continued(
    filled: ContextClient, tmp_path: Path, cut: int
) -> None:
    whole, file = tmp_path / "whole", tmp_path / "file"
    filled.export(whole)
    (tmp_path / "file.part").write_bytes(whole.read_bytes()[:cut])
    assert filled.export(file, resume=True) == LINES
    assert file.read_bytes() == whole.read_bytes()


def test_an_export_may_be_of_one_namespace(filled: ContextClient, tmp_path: Path) -> None:
    filled.namespace("other").set("a", 1)
    assert filled.export(tmp_path / "file", namespace="other") == 2
    with pytest.raises(BadRequestError):
        filled.export(tmp_path / "bad", namespace="a b")


@pytest.mark.usefixtures("small")
def test_a_refused_line_is_that_of_the_file_and_the_import_can_be_continued(
    client: ContextClient, tmp_path: Path
) -> None:
    lines = [json.dumps({"ns": "orders", "name": f"n{n}", "value": n}) for n in range(20)]
    file = tmp_path / "file"
    file.write_text("\n".join([*lines[:16], '{"ns":"a b"}', *lines[17:]]))
    done: list[int] = []
    with pytest.raises(BadRequestError) as caught:
        client.import_from(file, progress=done.append)
    assert caught.value.line == 17
    assert done == [7, 14]
    file.write_text("\n".join(lines))
    assert client.import_from(file, from_line=done[-1] + 1) == ImportResult(6, 0)
    assert client.get_properties("orders") == {f"n{n}": n for n in range(20)}


def test_a_request_has_at_most_1_mib(client: ContextClient, tmp_path: Path) -> None:
    file = tmp_path / "file"
    line = {"ns": "orders", "name": "a", "value": "x" * 400_000}
    lines = [json.dumps(line | {"session": f"s{number}"}) for number in range(5)]
    file.write_text("\n".join(lines))
    assert client.import_from(file) == ImportResult(5, 0)
    file.write_text(json.dumps(line | {"value": "x" * 1_100_000}))
    with pytest.raises(TooLargeError):
        client.import_from(file)


def test_a_missing_file_is_an_error_of_the_system(client: ContextClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.import_from(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        client.export(tmp_path / "none" / "file")


def _data(file: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [line for line in lines if "ns" in line]
