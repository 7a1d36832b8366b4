"""The rules for names (contract, section 1), at their boundaries."""

from collections.abc import Callable

import pytest

from ccs_server.domain.errors import InvalidInput
from ccs_server.domain.names import (
    DEFAULT_SESSION,
    RESERVED_NAMESPACES,
    RESERVED_SESSIONS,
    check_account,
    check_label,
    check_namespace,
    check_namespace_pattern,
    check_namespace_v2,
    check_properties,
    check_property,
    check_session,
)


def check_pattern(pattern: str) -> str:
    return check_namespace_pattern(pattern, "ns")


CONTROLS = ["\x00", "\x1f", "\n", "\x7f", "\x9f"]
LONE_SURROGATE = "\ud800"


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (check_account, "a" * 64),
        (check_account, "A-z_09"),
        (check_namespace, "a" * 128),
        (check_namespace, "with-hyphen"),
        (check_namespace, "Custom"),
        (check_namespace_v2, "a" * 128),
        (check_namespace_v2, "_09zZ"),
        (check_session, "s" * 256),
        (check_session, "\U0001f600" * 256),
        (check_session, DEFAULT_SESSION),
        (check_session, "Properties"),
        (check_pattern, "airline"),
        (check_pattern, "day_*"),
        (check_pattern, "*"),
        (check_pattern, "a" * 128 + "*"),
        (check_label, ""),
        (check_label, "é \U0001f600" * 85),
        (check_property, "p" * 256),
        (check_property, "a/b/"),
        (check_property, ".."),
        (check_property, "\xa0é \u2028"),
    ],
)
def test_a_valid_name_is_returned(check: Callable[[str], str], name: str) -> None:
    assert check(name) == name


@pytest.mark.parametrize(
    ("check", "field", "names"),
    [
        (check_account, "accountId", ["", "a" * 65, "a b", "é", "a\n", "a/b"]),
        (check_namespace, "namespace", ["", "a" * 129, "a b", "a.b", "é", "a\n"]),
        (check_namespace, "namespace", sorted(RESERVED_NAMESPACES)),
        (check_namespace_v2, "nameSpace", ["", "a" * 129, "with-hyphen", "a.b", "a\n"]),
        (check_namespace_v2, "nameSpace", sorted(RESERVED_NAMESPACES)),
        (check_session, "sessionId", ["", "s" * 257, "a/b", LONE_SURROGATE, *CONTROLS]),
        (check_session, "sessionId", sorted(RESERVED_SESSIONS)),
        (check_property, "property", ["", "p" * 257, LONE_SURROGATE, *CONTROLS]),
        (check_pattern, "ns", ["", "a*b", "**", "a b*", "a" * 129, "a" * 129 + "*", "a*\n"]),
        (check_pattern, "ns", sorted(RESERVED_NAMESPACES)),
        (check_label, "label", ["x" * 257, LONE_SURROGATE, *CONTROLS]),
    ],
)
def test_an_invalid_name_is_refused_and_its_field_reported(
    check: Callable[[str], str], field: str, names: list[str]
) -> None:
    for name in names:
        with pytest.raises(InvalidInput) as refused:
            check(name)
        assert refused.value.field == field
        assert refused.value.message.endswith(".")


def test_one_invalid_name_among_many_is_refused() -> None:
    check_properties(["a", "b"])
    with pytest.raises(InvalidInput, match="property name"):
        check_properties(["a", "b\x00", "c"], "payload")
