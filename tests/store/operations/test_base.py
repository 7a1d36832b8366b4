"""Parameters of statements."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ccs_server.store.connection import Statement
from ccs_server.store.database import Database
from ccs_server.store.operations.base import text_array

ECHO = Statement.of("test_echo_array", "SELECT to_json($1::text[])")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(given=st.lists(texts | st.sampled_from(["NULL", "{}", '"', "\\", ",", '\\"'])))
def test_an_array_has_the_texts_that_it_was_made_of(database: Database, given: list[str]) -> None:
    assert json.loads(database.execute(ECHO, text_array(given)).get_value(0, 0) or b"") == given
