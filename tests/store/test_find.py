"""Finding sessions: a model of the rules in Python, and how much one request reads."""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from math import isinf
from secrets import token_hex
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from ccs_server.domain.errors import TooLarge
from ccs_server.domain.where import read_where
from ccs_server.store import find, saving
from ccs_server.store.database import Database
from ccs_server.store.document import DocumentKey
from ccs_server.store.find import Page, Search, find_sessions
from tests.api.strategies import exploring, json_texts, number_texts

NAMESPACE = "found"


@pytest.fixture
def account() -> str:
    return f"test-{token_hex(6)}"


class Stored(NamedTuple):
    """A property; its value is JSON text."""

    session: str
    name: str
    value: str
    is_expired: bool = False
    updated_at: str | None = None


def store(database: Database, account: str, *properties: Stored) -> None:
    """Replaces all properties of the account by these."""
    statements = """
        DELETE FROM property WHERE account = :account;
        INSERT INTO namespace (account, name) VALUES (:account, :namespace) ON CONFLICT DO NOTHING;
        INSERT INTO property (account, namespace_id, session_id, name, value, size, expires_at, updated_at)
        SELECT account, id, p.session, p.name, p.value::json, length(p.value) + length(p.name) + 4,
            CASE WHEN p.is_expired THEN now() ELSE 'infinity' END, p.updated_at
        FROM namespace, jsonb_to_recordset(CAST(:properties AS jsonb)) AS p (
            session text, name text, value text, is_expired boolean, updated_at timestamptz)
        WHERE account = :account AND namespace.name = :namespace
    """
    rows = json.dumps([each._asdict() for each in properties])
    with database.begin() as connection:
        for statement in statements.split(";"):
            names = ("account", "namespace", "properties")
            values = (account, NAMESPACE, rows)
            used = {n: v for n, v in zip(names, values, strict=True) if f":{n}" in statement}
            connection.execute(text(statement), used)


def search(account: str, where: Mapping[str, str] | None = None, **options: Any) -> Search:
    """A search whose conditions are JSON text."""
    read = read_where({name: given.encode() for name, given in (where or {}).items()})
    return Search(account, NAMESPACE, read, **options)


def sessions(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(page.sessions)
    return found


def ids(page: Page) -> list[str]:
    return [each["sessionId"] for each in sessions(page)]


def pages(database: Database, wanted: Search, limit: int) -> Iterator[Page]:
    after: str | None = ""
    while after is not None:
        page = find_sessions(database, wanted, after=after, limit=limit)
        yield page
        after = page.last


# The model.

MISSING = object()
UNHOLDABLE = object()


def scalar(value: str) -> object:
    """The value of JSON text as the rules compare it; numbers are floats."""

    def number(digits: str) -> object:
        double = float(digits)
        is_lost = isinf(double) or (
            double == 0 and any(map(int, Decimal(digits).as_tuple().digits))
        )
        return UNHOLDABLE if is_lost else double

    return json.loads(value, parse_int=number, parse_float=number)


# Strings of Python compare by code point, and floats are IEEE doubles.
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, operand: value == operand,
    "$ne": lambda value, operand: value != operand,
    "$gt": lambda value, operand: value > operand,
    "$gte": lambda value, operand: value >= operand,
    "$lt": lambda value, operand: value < operand,
    "$lte": lambda value, operand: value <= operand,
    "$prefix": lambda value, operand: value.startswith(operand),
}


def holds(value: object, operator: str, operand: Any) -> bool:
    if operator == "$exists":
        return (value is not MISSING) is operand
    if operator == "$in":
        return any(holds(value, "$eq", each) for each in operand)
    return type(value) is type(operand) and COMPARISONS[operator](value, operand)


def expected(properties: list[Stored], where: Mapping[str, str]) -> list[str]:
    live: dict[str, dict[str, object]] = {}
    for each in properties:
        if not each.is_expired:
            live.setdefault(each.session, {})[each.name] = scalar(each.value)
    conditions: dict[str, dict[str, Any]] = {}
    for name, given_ in where.items():
        operators = scalar(given_)
        conditions[name] = operators if isinstance(operators, dict) else {"$eq": operators}
    return sorted(
        session
        for session, values in live.items()
        if all(
            holds(values.get(name, MISSING), operator, operand)
            for name, operators in conditions.items()
            for operator, operand in operators.items()
        )
    )


# Documents and queries.

STRINGS = [
    '""', '"a"', '"ab"', '"b"', '"a\\u0001"', '"A"', '"1"', '"true"', '"null"', '"\\u00e9"', '"e\\u0301"',
    '"\\ud7ff"', '"\\uffee"', '"\\ud83d\\ude00"', '"a\\ud83d\\ude00"', '"\\udbff\\udfff"', '"a\\"\\\\b"',
]  # fmt: skip
NUMBERS = [
    "0", "-0", "0.0", "1", "1.0", "1e0", "100e-2", "-1", "0.1", "0.1000000000000000055511151231257827",
    "9007199254740992", "9007199254740993", "9007199254740994", "1.7976931348623157e308", "-1E+308", "4.9e-324",
    "1" + 308 * "0",
]  # fmt: skip
BEYOND_DOUBLES = [
    "1e400", "-1e400", "1e-400", "1E999999999999", "1e-999999999999", "1" + 400 * "0", "0." + 400 * "0" + "1",
]  # fmt: skip
WORDS = ["true", "false", "null"]
CONTAINERS = ["[]", "{}", '["a"]', '{"a": 1}', "[[1]]"]
scalars = st.sampled_from([*STRINGS, *NUMBERS, *WORDS]) | number_texts.filter(
    lambda digits: scalar(digits) is not UNHOLDABLE
)
ordered = scalars.filter(lambda value: value not in WORDS)
texts = st.sampled_from(STRINGS)
booleans = st.sampled_from(["true", "false"])
values = (
    st.sampled_from([*STRINGS, *NUMBERS, *BEYOND_DOUBLES, *WORDS, *CONTAINERS])
    | json_texts
    | number_texts
)
operators = st.fixed_dictionaries(
    {},
    optional={
        "$eq": scalars,
        "$ne": scalars,
        "$gt": ordered,
        "$gte": ordered,
        "$lt": ordered,
        "$lte": ordered,
        "$in": st.lists(scalars, min_size=1, max_size=5).map(lambda each: f"[{','.join(each)}]"),
        "$prefix": texts,
        "$exists": booleans,
    },
).filter(bool)
# Many random operators never hold together, so most queries have one or two.
few_operators = operators.map(lambda given: dict(list(given.items())[:2])) | operators
conditions = scalars | few_operators.map(
    lambda given: "{" + ",".join(f'"{name}":{operand}' for name, operand in given.items()) + "}"
)
names = st.sampled_from(["a", "b", "c"])
queries = st.dictionaries(names, conditions, max_size=2)
stored = st.builds(
    Stored,
    st.sampled_from(["__default__", "s1", "s2", "s3", "\uffee", "😀"]),
    names,
    values,
    st.sampled_from([False, False, False, True]),
    st.none(),
)
documents = st.lists(stored, max_size=14, unique_by=lambda each: (each.session, each.name))


@exploring
@given(properties=documents, wheres=st.lists(queries, min_size=5, max_size=5))
def test_exactly_the_sessions_that_the_rules_name_are_found_in_code_point_order(
    database: Database, account: str, properties: list[Stored], wheres: list[dict[str, str]]
) -> None:
    store(database, account, *properties)
    for where in wheres:
        found = find_sessions(database, search(account, where), limit=1000)
        assert ids(found) == expected(properties, where), where
        assert find_sessions(database, search(account, where), limit=0).matched == len(ids(found))


@pytest.mark.parametrize("operator", ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in"])
def test_every_pair_of_values_is_compared_as_the_rules_say(
    database: Database, account: str, operator: str
) -> None:
    everything = [*STRINGS, *NUMBERS, *BEYOND_DOUBLES, *WORDS, *CONTAINERS]
    properties = [Stored(f"s{number:02}", "a", value) for number, value in enumerate(everything)]
    store(database, account, *properties)
    for operand in [*STRINGS, *NUMBERS, *WORDS]:
        if operand in WORDS and operator not in {"$eq", "$ne", "$in"}:
            continue
        where = {"a": f'{{"{operator}": {f"[{operand}]" if operator == "$in" else operand}}}'}
        found = ids(find_sessions(database, search(account, where), limit=1000))
        assert found == expected(properties, where), operand


def test_numbers_keep_every_digit_in_properties(database: Database, account: str) -> None:
    digits = "[1.10, 1e23, 12345678901234567890.123456789012345678901234567890, 1e400]"
    store(database, account, Stored("s1", "a", digits))
    page = find_sessions(database, search(account, fields=True), limit=1)
    assert digits.encode() in page.sessions


def test_fields_are_all_none_or_those_that_exist(database: Database, account: str) -> None:
    store(
        database, account,
        Stored("s1", "a", "1"), Stored("s1", "b", "2"), Stored("s1", "c", "3", is_expired=True),
        Stored("s2", "z", "4"),
    )  # fmt: skip
    cases: list[tuple[bool | list[str], list[object]]] = [
        (True, [{"a": 1, "b": 2}, {"z": 4}]),
        (False, [None, None]),
        (["b", "c", "none"], [{"b": 2}, {}]),
        ([], [{}, {}]),
    ]
    for fields, properties in cases:
        page = find_sessions(database, search(account, fields=fields), limit=10)
        assert [each.get("properties") for each in sessions(page)] == properties


def test_updated_at_is_the_latest_save_of_a_live_property(database: Database, account: str) -> None:
    store(
        database, account,
        Stored("old", "a", "1"), Stored("old", "b", "1", is_expired=True, updated_at="2026-03-01Z"),
        Stored("saved", "a", "1", updated_at="2026-01-02T03:04:05.678999Z"), Stored("saved", "b", "1"),
        Stored("saved", "c", "1", updated_at="2026-01-01Z"),
    )  # fmt: skip
    page = find_sessions(database, search(account, {"a": "1"}), limit=10)
    assert sessions(page) == [
        {"sessionId": "old", "updatedAt": None},
        {"sessionId": "saved", "updatedAt": "2026-01-02T03:04:05.678Z"},
    ]


def test_a_session_without_live_properties_is_not_found(database: Database, account: str) -> None:
    store(database, account, Stored("dead", "a", "1", is_expired=True), Stored("live", "a", "1"))
    for where in ({}, {"b": '{"$exists": false}'}, {"a": "1"}):
        assert ids(find_sessions(database, search(account, where), limit=10)) == ["live"]


def test_a_prefix_limits_the_sessions(database: Database, account: str) -> None:
    everything = ["__default__", "a", "a%", "a1", "a_", "a😀", "b", "ä"]
    store(database, account, *(Stored(each, "x", "1") for each in everything))
    for prefix in ("", "a", "a%", "a_", "_", "a😀", "c", "ä"):
        for limit in (1, 2, 100):
            found = pages(database, search(account, prefix=prefix), limit)
            wanted = [each for each in everything if each.startswith(prefix)]
            assert [id_ for page in found for id_ in ids(page)] == wanted


def test_other_accounts_and_namespaces_are_not_looked_at(database: Database, account: str) -> None:
    store(database, account, Stored("s1", "a", "1"))
    store(database, f"{account}-other", Stored("s2", "a", "1"))
    elsewhere = DocumentKey(account, "elsewhere", "s3")
    saving.save(database, elsewhere, b'{"a": 1}')
    assert ids(find_sessions(database, search(account), limit=10)) == ["s1"]
    nothing = find_sessions(database, search(account)._replace(namespace="none"), limit=10)
    assert nothing == Page(b"[]", None, 0)


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
def test_pages_have_each_session_once_whatever_is_inserted(
    database: Database, account: str, limit: int
) -> None:
    everything = [f"s{number:02}" for number in range(20)]
    store(database, account, *(Stored(each, "a", "1") for each in everything))
    found: list[str] = []
    for number, page in enumerate(pages(database, search(account, {"a": "1"}), limit)):
        found += ids(page)
        for new in (f"s{number:02}-new", f"a{number}", f"z{number}" if number < 3 else "z0"):
            saving.save(database, DocumentKey(account, NAMESPACE, new), b'{"a": 1, "b": 2}')
    assert len(found) == len(set(found))
    assert set(everything) <= set(found)
    assert found == sorted(found)


def test_a_request_looks_at_a_limited_number_of_sessions(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "LOOK_LIMIT", 4)
    store(
        database, account,
        *(Stored(f"s{number}", "a", "1", is_expired=number < 5) for number in range(9)), Stored("s9", "a", "2"),
    )  # fmt: skip
    found = list(pages(database, search(account, {"a": "1"}), 100))
    assert [(ids(page), page.last) for page in found] == [
        ([], "s3"), (["s5", "s6", "s7"], "s7"), (["s8"], None),
    ]  # fmt: skip
    counted = list(pages(database, search(account, {"a": "1"}), 0))
    assert [page.matched for page in counted] == [0, 3, 1]
    assert all(page.sessions == b"[]" for page in counted)


def test_a_request_compares_a_limited_amount_of_data(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "READ_LIMIT", 2500)
    long = json.dumps(1000 * "x")
    store(
        database, account,
        *(Stored(f"s{number}", "a", long) for number in range(5)), Stored("s0", "unread", json.dumps(5000 * "y")),
    )  # fmt: skip
    found = list(pages(database, search(account, {"a": long}), 100))
    assert [ids(page) for page in found] == [["s0", "s1", "s2"], ["s3", "s4"]]


@pytest.mark.parametrize("first", ["this", "other"])
def test_a_session_is_read_up_to_the_first_condition_that_does_not_hold(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(find, "READ_LIMIT", 900)
    values = {"a": '"this"', "b": json.dumps(1000 * "x")}
    sessions = [f"s{number}" for number in range(5)]
    store(
        database, account,
        *(Stored(session, name, value) for session in sessions for name, value in values.items()),
    )  # fmt: skip
    where = {"a": json.dumps(first), "b": '"short"'}
    cut = [page.last for page in pages(database, search(account, where), 100) if page.last]
    assert cut == (sessions if first == "this" else [])


def test_a_page_of_properties_that_is_too_large_is_refused(
    database: Database, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, account, *(Stored(f"s{number}", "a", "123456") for number in range(2)))
    size = len('"a":123456') + 1
    monkeypatch.setattr(find, "PAGE_LIMIT", 2 * size)
    assert len(ids(find_sessions(database, search(account, fields=True), limit=2))) == 2
    monkeypatch.setattr(find, "PAGE_LIMIT", 2 * size - 1)
    with pytest.raises(TooLarge, match="smaller limit"):
        find_sessions(database, search(account, fields=True), limit=2)
    for narrower in (search(account), search(account, fields=["b"])):
        assert len(ids(find_sessions(database, narrower, limit=2))) == 2
    assert len(ids(find_sessions(database, search(account, fields=True), limit=1))) == 1


def test_only_the_properties_that_conditions_name_are_read(
    database: Database, account: str
) -> None:
    width, number = 300, 10
    store(
        database, account,
        *(Stored(f"s{s}", f"p{p:03}", "1") for s in range(number) for p in range(width)),
    )  # fmt: skip
    with database.engine.connect() as connection:
        connection.execute(text("ANALYZE property"))
    where = read_where({"p150": b"2", "p299": b"1"})
    conditions_ = json.dumps([each.__dict__ for each in where.conditions or ()])
    pooled = database.engine.raw_connection()
    try:
        pgconn = pooled.driver_connection.pgconn  # type: ignore[union-attr]
        pgconn.prepare(b"counted", find.FIND.sql)
        explained = pgconn.exec_(
            f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE counted('{account}', '{NAMESPACE}', '', '', "
            f"'{conditions_}', 0, 'true', 10000, 1000000, 1000000)".encode()
        )
        plan = json.loads(explained.get_value(0, 0))[0]["Plan"]
    finally:
        pooled.close()

    def rows_of_property(node: dict[str, Any]) -> float:
        own = node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        inner = sum(map(rows_of_property, node.get("Plans", [])))
        return float(own if node.get("Relation Name") == "property" else inner)

    # One row to find the session, and one for each name. Before PostgreSQL 18, a plan's averages are whole numbers.
    assert rows_of_property(plan) == pytest.approx(3 * number, abs=number / 2)
