"""Exports: order, positions, pages, and what a page costs. `tests/store/test_importing.py` checks their way back."""

import json
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import text

from ccs_server.store import exporting, namespaces, saving, sessions
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.exporting import Export, Page, Position, export_page
from tests.support.clock import Clock

Key = tuple[str, str, str]

NAMES = ["\N{SPACE}", "!", "A", "Z", "a", "a b", "a/b", "a\u00e9", "\u00e9", "\uffff", "\U0001f600"]
"""In the order of their code points, which is not that of UTF-16."""


@pytest.fixture
def account() -> str:
    return f"test-{token_hex(6)}"


def save(database: Database, account: str, namespace: str, session: str, **properties: Any) -> None:
    document = DocumentKey(account, namespace, session)
    saving.save(database, document, json.dumps(properties).encode())


def pages(database: Database, wanted: Export, limit: int) -> Iterator[Page]:
    after = None
    while True:
        page = export_page(database, wanted, after=after, limit=limit)
        yield page
        if page.last is None:
            return
        after = page.last


def lines(page: Page) -> list[dict[str, Any]]:
    return [json.loads(line) for line in page.lines.split(b"\n") if line]


def keys(page: Page) -> list[Key]:
    return [(line["ns"], line.get("session", ""), line.get("name", "")) for line in lines(page)]


def all_keys(database: Database, wanted: Export, limit: int) -> list[Key]:
    return [key for page in pages(database, wanted, limit) for key in keys(page)]


def fill(database: Database, account: str) -> list[Key]:
    """Fills namespaces, some of them empty, and returns the keys of all lines in their order."""
    found: list[Key] = []
    for namespace in ("A", "Z", "a", "a-b", "a_b"):
        namespaces.register_namespace(database, account, namespace, 5 if namespace == "Z" else None)
        found.append((namespace, "", ""))
        if namespace in {"A", "a-b"}:
            continue
        for session in NAMES:
            if "/" in session:
                continue
            if session > "Z":
                key = DocumentKey(account, namespace, session)
                sessions.set_session_ttl(database, key, 0 if session == "a" else 60)
                found.append((namespace, session, ""))
            if session != "a b":
                save(database, account, namespace, session, **dict.fromkeys(NAMES[::-1], 1))
                found += [(namespace, session, name) for name in NAMES]
    return found


def test_lines_are_ordered_by_namespace_session_and_name(database: Database, account: str) -> None:
    expected = fill(database, account)
    (page,) = pages(database, Export(account), 10_000)
    assert keys(page) == expected == sorted(expected)


@pytest.mark.parametrize("limit", [1, 2, 7, 25, 10_000])
def test_pages_of_any_size_make_the_same_export(
    database: Database, account: str, limit: int
) -> None:
    expected = fill(database, account)
    found = [keys(page) for page in pages(database, Export(account), limit)]
    assert [key for page in found for key in page] == expected
    assert all(len(page) == limit for page in found[:-1])


def test_an_export_of_a_namespace_or_a_session_has_its_lines_alone(
    database: Database, account: str
) -> None:
    everything = fill(database, account)
    for limit in (1, 5, 10_000):
        for namespace in ("A", "Z", "a_b", "none"):
            expected = [key for key in everything if key[0] == namespace]
            assert all_keys(database, Export(account, namespace=namespace), limit) == expected
        for session in ("A", "a", "a b", "none"):
            wanted = Export(account, namespace="Z", session_id=session)
            expected = [key for key in everything if key[:2] == ("Z", session)]
            assert all_keys(database, wanted, limit) == expected


def test_an_export_has_the_allowed_namespaces_alone(database: Database, account: str) -> None:
    everything = fill(database, account)
    for allowed, names in (
        (("a",), {"a"}),
        (("a*",), {"a", "a-b", "a_b"}),
        (("Z", "a_*"), {"Z", "a_b"}),
        (("*",), {"A", "Z", "a", "a-b", "a_b"}),
        (("none",), set()),
    ):
        expected = [key for key in everything if key[0] in names]
        assert all_keys(database, Export(account, allowed), 9) == expected
        of_one = Export(account, allowed, namespace="a_b")
        assert all_keys(database, of_one, 9) == [key for key in expected if key[0] == "a_b"]


def test_an_account_without_data_has_an_empty_export(database: Database, account: str) -> None:
    assert export_page(database, Export(account), limit=1) == Page(b"", None)
    of_session = Export(account, namespace="a", session_id="s")
    assert export_page(database, of_session, limit=1) == Page(b"", None)


def test_a_line_has_the_value_as_it_was_saved(database: Database, account: str) -> None:
    value = b'{"n":-0.10E+01,"s":"\\u00e9\xc3\xa9","d":1234567890123456789.10,"z":null}'
    document = DocumentKey(account, "a", 's"\\')
    saving.save(database, document, b'{"p\\"\\\\":' + value + b"}")
    for wanted in (Export(account), Export(account, namespace="a", session_id='s"\\')):
        *_, line = export_page(database, wanted, limit=9).lines.split(b"\n")
        start = b'{"ns":"a","session":"s\\"\\\\","name":"p\\"\\\\","value":' + value
        assert line.startswith(start + b',"expiresAt":null,"updatedAt":"')


def test_expired_properties_take_room_in_a_page_but_have_no_line(
    database: Database, account: str, clock: Clock
) -> None:
    namespaces.register_namespace(database, account, "a", 60)
    save(database, account, "a", "s1", a=1, b=1, c=1)
    namespaces.register_namespace(database, account, "a", 0)
    save(database, account, "a", "s1", b=2, d=2)
    clock.advance(seconds=61)
    for wanted in (Export(account), Export(account, namespace="a", session_id="s1")):
        found = [keys(page) for page in pages(database, wanted, 1)]
        expected = [[], [("a", "s1", "b")], [], [("a", "s1", "d")]]
        assert found[-len(expected) - 1 :][: len(expected)] == expected


def test_what_expires_between_two_pages_is_not_exported(
    database: Database, account: str, clock: Clock
) -> None:
    namespaces.register_namespace(database, account, "a", 60)
    save(database, account, "a", "s1", a=1, b=1)
    first = export_page(database, Export(account), limit=2)
    assert keys(first)[-1] == ("a", "s1", "a")
    clock.advance(seconds=61)
    assert export_page(database, Export(account), after=first.last, limit=9) == Page(b"", None)


def test_what_exists_all_the_time_is_exported_once_whatever_is_written_meanwhile(
    database: Database, account: str
) -> None:
    for number in range(20):
        save(database, account, "a", f"s{number:02}", stays=1)
    found: list[Key] = []
    for number, page in enumerate(pages(database, Export(account), 3)):
        found += keys(page)
        # Before, at, and after the position, and in namespaces on both sides.
        for session in ("s", f"s{number:02}", f"s{number:02}x", "t"):
            save(database, account, "a", session, comes=number)
        if number < 5:
            save(database, account, f"A{number}", "s", comes=1)
            save(database, account, f"b{number}", "s", comes=1)
    assert len(found) == len(set(found))
    assert [key for key in found if key[2] == "stays"] == [
        ("a", f"s{number:02}", "stays") for number in range(20)
    ]
    assert {key[0] for key in found} == {"a", "b0", "b1", "b2", "b3", "b4"}


def test_a_namespace_that_is_deleted_between_two_pages_is_not_exported_further(
    database: Database, account: str
) -> None:
    for namespace in ("a", "b"):
        save(database, account, namespace, "s1", p=1, q=1)
    first = export_page(database, Export(account), limit=2)
    namespaces.delete_namespace(database, account, "a", "test")
    rest = export_page(database, Export(account), after=first.last, limit=9)
    assert keys(rest) == [("b", "", ""), ("b", "s1", "p"), ("b", "s1", "q")]
    # A new namespace of that name has other properties.
    save(database, account, "a", "s0", x=1)
    assert keys(export_page(database, Export(account), after=first.last, limit=9)) == keys(rest)


def test_a_page_ends_when_its_properties_exceed_the_page_size(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in ("s1", "s2", "s3", "s4"):
        save(database, account, "a", session, p="x" * 500, q="y" * 300)
    everything = all_keys(database, Export(account), 99)
    monkeypatch.setattr(exporting, "PAGE_CHARACTERS", 1000)
    for wanted in (Export(account), Export(account, namespace="a", session_id="s1")):
        monkeypatch.setattr(exporting, "PAGE_CHARACTERS", 1000)
        found = list(pages(database, wanted, 99))
        assert all(len(page.lines) < 2500 for page in found)
        monkeypatch.setattr(exporting, "PAGE_CHARACTERS", 0)
        assert max(len(keys(page)) for page in pages(database, wanted, 99)) <= 2
    assert all_keys(database, Export(account), 99) == everything


def test_a_document_at_its_size_limit_is_exported(database: Database, account: str) -> None:
    value = "\u00e9" * 799_980
    save(database, account, "a", "s1", p=1)
    document = DocumentKey(account, "a", "s2")
    saving.save(database, document, json.dumps({"p": value}, ensure_ascii=False).encode())
    found = [line for page in pages(database, Export(account), 3) for line in lines(page)]
    assert [line.get("value") for line in found] == [None, 1, value]


def test_ten_thousand_namespaces_are_exported(database: Database, account: str) -> None:
    fill_in = """
        WITH made AS (
            INSERT INTO namespace (account, name)
            SELECT :account, 'n' || n FROM generate_series(10000, 19999) n RETURNING account, id
        )
        INSERT INTO property (account, namespace_id, session_id, name, value, size)
        SELECT account, id, 's', 'p', '1', 6 FROM made
    """
    with database.engine.connect() as connection:
        connection.execute(text(fill_in), {"account": account})
    found = [keys(page) for page in pages(database, Export(account), 10_000)]
    assert [len(page) for page in found] == [10_000, 10_000, 0]
    assert found[1][-1] == ("n19999", "s", "p")


def test_a_page_costs_the_same_whatever_surrounds_it(database: Database, account: str) -> None:
    """The number of index entries and rows that are read is compared, not the time."""
    for namespace in ("a", "b", "c"):
        save(database, account, namespace, "s", **{f"p{number:03}": 1 for number in range(10)})
    after = Position("b", "s", "p001")
    cost = _rows_read(database, account, after)
    for namespace in ("a", "b", "c", "d"):
        for session in ("r", "t", "u"):
            more = {f"p{number:03}": 1 for number in range(400)}
            save(database, account, namespace, session, **more)
    assert _rows_read(database, account, after) <= cost + 3


def _rows_read(database: Database, account: str, after: Position) -> int:
    """How many rows of `property` a page of five lines reads, by PostgreSQL's own count."""
    literals = [
        f"'{account}'",
        "NULL",
        "NULL",
        *(f"'{part}'" for part in after),
        "'5'",
        "'4000000'",
    ]
    sql = exporting.EXPORT.sql.decode()
    with database.engine.connect() as connection:
        connection.exec_driver_sql(f"PREPARE measured AS {sql}".replace("%", "%%"))
        explained = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE measured ({', '.join(literals)})"
        ).scalar_one()
        connection.exec_driver_sql("DEALLOCATE measured")
    return _rows_of(explained[0]["Plan"])


def _rows_of(plan: dict[str, Any]) -> int:
    here = 0
    if plan.get("Relation Name") == "property":
        removed = plan.get("Rows Removed by Filter", 0)
        here = int((plan["Actual Rows"] + removed) * plan["Actual Loops"])
    return here + sum(map(_rows_of, plan.get("Plans", [])))
