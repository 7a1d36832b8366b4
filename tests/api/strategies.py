"""Hypothesis strategies for the names and values of the contract's section 1."""

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Every example is some requests to a real server: few examples, always the same ones (a suite
# that fails one time in a hundred is no use), and the account of the test is shared by them.
exploring = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

NAME_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)

namespaces = st.from_regex(r"[A-Za-z0-9_]{1,128}", fullmatch=True).filter(
    lambda name: name not in {"consumer", "operational", "conversation", "custom", "sde", "faas"}
)
property_names = st.text(NAME_CHARACTERS, min_size=1, max_size=256)
# A dot segment is reached through bodies only.
property_names_in_paths = property_names.filter(lambda name: name not in {".", ".."})
sessions = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"),
    min_size=1,
    max_size=256,
).filter(lambda name: name not in {"properties", "session-ids", "session-properties"})

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)
json_texts = values.map(json.dumps) | values.map(
    lambda value: json.dumps(value, ensure_ascii=False, indent=1)
)
# Numbers as no Python type writes them: leading minus on zero, 60 digits, exponents either way.
number_texts = st.from_regex(
    r"-?(0|[1-9][0-9]{0,60})(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
).filter(str.isascii)
