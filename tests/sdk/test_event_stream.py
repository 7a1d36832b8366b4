"""Event streams are read the same however they are cut into parts."""

from hypothesis import given
from hypothesis import strategies as st

from ccs_sdk._event_stream import EventParser, StreamEvent

STREAM = (
    b"retry: 1000\n\n"
    b"id: c0\nevent: position\ndata: {}\n\n"
    b': a comment\n\nid: c1\nevent: property.set\ndata: {"value":"a: b\xc2\x85\xe2\x80\xa8"}\n\n'
    b"id: c2\nevent: property.deleted\ndata: {}\n\nid: c3\nevent: property.set\ndata: {"
)
EVENTS = [
    StreamEvent("c0", "position", b"{}"),
    StreamEvent("c1", "property.set", b'{"value":"a: b\xc2\x85\xe2\x80\xa8"}'),
    StreamEvent("c2", "property.deleted", b"{}"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20).map(sorted))
def test_events_are_found_however_the_stream_is_cut(cuts: list[int]) -> None:
    parser = EventParser()
    ends = [*cuts, len(STREAM)]
    parts = [STREAM[begin:end] for begin, end in zip([0, *cuts], ends, strict=True)]
    assert [event for part in parts for event in parser.feed(part)] == EVENTS
