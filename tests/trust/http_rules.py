"""The rules of HTTP/1.1 for methods, header names and the framing of bodies, with the allowed statuses.

Each request of a rule saves a value. Afterwards, the property must have that value if the response was 204, and its old
value otherwise. RFC 9110 defines HTTP's semantics, RFC 9112 its messages.
"""

from dataclasses import dataclass, field
from string import ascii_letters, ascii_lowercase, digits

from hypothesis import strategies as st

from tests.support.service import Account

KEY = "{key}"
"""A placeholder for the account's key in a header line."""

_METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "HEAD"]
_LONGEST_METHOD = 60_000

_SAVED = frozenset({204})
_BAD = frozenset({400})
_FAILED = frozenset({412})
_NOT_THERE = frozenset({400, 405, 501})
_UNAUTHORIZED = frozenset({400, 401, 403})


@dataclass(frozen=True)
class Message:
    """A request to save `value`, with its deviations from a normal request."""

    value: str
    method: str = "PUT"
    version: str = "1.1"
    hosts: tuple[str, ...] = ("Host: localhost",)
    credential: tuple[str, ...] = (f"maven-api-key: {KEY}",)
    framing: tuple[str, ...] | None = None
    """The header lines that frame the body; None for Content-Length."""
    body: bytes | None = None
    """The body; None for the value."""
    extra: tuple[str, ...] = ()
    is_whole: bool = True
    """False if the request is incomplete. The client then shuts down its side."""

    def bytes(self, account: Account, path: str) -> bytes:
        """Returns the bytes of a request that saves the property at `path`."""
        body = _json(self.value) if self.body is None else self.body
        framing = (f"Content-Length: {len(body)}",) if self.framing is None else self.framing
        lines = [
            f"{self.method} {path} HTTP/{self.version}",
            *self.hosts,
            *(line.replace(KEY, account.key) for line in self.credential),
            "Content-Type: application/json",
            *framing,
            *self.extra,
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass(frozen=True)
class Rule:
    """A kind of request with the allowed statuses."""

    name: str
    statuses: frozenset[int]
    messages: st.SearchStrategy[Message] = field(repr=False)


# Ten bytes as JSON. The sizes and lengths below depend on it.
_values = st.text(digits, min_size=8, max_size=8)
_names = st.text(ascii_letters + digits + "-", min_size=1, max_size=20)


def _json(value: str) -> bytes:
    return f'"{value}"'.encode()


def _sent(**deviations: st.SearchStrategy[object]) -> st.SearchStrategy[Message]:
    return st.builds(Message, _values, **deviations)


def _lines(*choices: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from(choices)


def _chunk(data: bytes, size: str = "{:x}", extension: str = "") -> bytes:
    return f"{size.format(len(data))}{extension}\r\n".encode() + data + b"\r\n"


@st.composite
def _in_chunks(draw: st.DrawFn) -> Message:
    """Valid chunked framing: sizes in capitals or with leading zeros, extensions, trailer fields."""
    value = draw(_values)
    text = _json(value)
    at = draw(st.integers(1, len(text) - 1))
    sizes = st.sampled_from(["{:x}", "{:X}", "{:04x}"])
    extensions = st.sampled_from(["", ";a", ";a=b", ';a="b c"'])
    chunks = b"".join(
        _chunk(part, draw(sizes), draw(extensions)) for part in (text[:at], text[at:])
    )
    trailer = draw(st.sampled_from([b"", b"X-Checksum: 1\r\n"]))
    return Message(
        value,
        framing=("Transfer-Encoding: chunked",),
        body=chunks + b"0\r\n" + trailer + b"\r\n",
    )


@st.composite
def _in_broken_chunks(draw: st.DrawFn) -> Message:
    value = draw(_values)
    text = _json(value)
    lines = st.sampled_from(
        # Not a number, negative, with a sign, with a prefix, 2**64 and more, too small, empty, with a leading space.
        [b"x", b"-a", b"+a", b"0xa", b"1000000000000000a", b"f" * 40, b"7", b"", b" a"]
    )
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    size = draw(lines) if end == b"\r\n" else b"a"
    body = size + end + text + end + b"0" + end + end
    return Message(value, framing=("Transfer-Encoding: chunked",), body=body)


@st.composite
def _in_unfinished_chunks(draw: st.DrawFn) -> Message:
    """Valid JSON, but with the last chunk missing or incomplete."""
    value = draw(_values)
    whole = _chunk(_json(value)) + b"0\r\n\r\n"
    # The value is complete, but the end is not.
    cut = draw(st.integers(len(b"a\r\n") + len(_json(value)), len(whole) - 1))
    return Message(value, framing=("Transfer-Encoding: chunked",), body=whole[:cut], is_whole=False)


@st.composite
def _in_a_coding(draw: st.DrawFn) -> Message:
    """Unsupported codings, or chunked in the wrong position."""
    value = draw(_values)
    coding = draw(
        st.sampled_from(
            ["gzip, chunked", "chunked, gzip", "chunked, chunked", "gzip", "identity", "xchunked"]
        )
    )
    body = _chunk(_json(value)) + b"0\r\n\r\n"
    return Message(value, framing=(f"Transfer-Encoding: {coding}",), body=body)


@st.composite
def _with_two_lengths(draw: st.DrawFn) -> Message:
    """Two different lengths, or one that is not a number, as in request smuggling."""
    framing = draw(
        st.sampled_from(
            [
                ("Content-Length: 10", "Content-Length: 9"),
                ("Content-Length: 10, 9",),
                ("Content-Length: +10",),
                ("Content-Length: 0xa",),
                ("Content-Length: -10",),
            ]
        )
    )
    return Message(draw(_values), framing=framing)


@st.composite
def _with_a_length_beside_chunks(draw: st.DrawFn) -> Message:
    value = draw(_values)
    length = draw(
        st.sampled_from(["Content-Length: 10", "Content-Length: 3", "Content-Length: 99"])
    )
    framing = draw(st.permutations([length, "Transfer-Encoding: chunked"]))
    return Message(value, framing=tuple(framing), body=_chunk(_json(value)) + b"0\r\n\r\n")


@st.composite
def _with_a_broken_field(draw: st.DrawFn) -> Message:
    """A name that is not a token, a continued line, or a control character in a value."""
    name = draw(_names)
    line = draw(
        st.sampled_from(
            [f"{name} : 1", f" {name}: 1", f"{name}", ": 1", f"{name}\x00: 1", f"é{name}: 1",
             f"{name}: 1\r\n continued", f"{name}: a\x00b", f"{name}: a\rb", f"({name}): 1"]
        )
    )  # fmt: skip
    return Message(draw(_values), extra=(line,))


# No property has the tag "a", and no session here has a lease. The property exists.
_UNREADABLE = [
    *((f"{name}: {tags}",) for name in ("If-Match", "If-None-Match") for tags in (
        "", "a", '"a', 'a"', '""', '"a" "b"', '"a",,"b"', '"a",', ', "a"', '*, "a"', "**", 'w/"a"', 'W/ "a"', '"a b"',
        ", ".join(['"a"'] * 21),
    )),
    ("If-Match: *", "If-Match: *"), ("If-None-Match: *", 'If-None-Match: "a"'),
    *((f"Ccs-TTL: {ttl}",) for ttl in ("", "-1", "+1", "1.5", "1e2", "0x1", "2147483648", "Keep", "1 2", "9" * 40)),
    ("Ccs-TTL: 60", "Ccs-TTL: 60"), ("Ccs-TTL: keep", "Ccs-TTL: 60"),
    *((f"Ccs-Fence: {fence}",) for fence in ("", "0", "-1", "x", "1.0", "9007199254740992", "9" * 40)),
    ("Ccs-Fence: 1", "Ccs-Fence: 1"),
    ("If-None-Match: *", "If-Match: a"), ("If-Match: *", "Ccs-Fence: x"),
]  # fmt: skip
_FAILING = [
    ('If-Match: "a"',), ('If-Match: "a", "b"',), ('If-Match: "a"', 'If-Match: "b"'), ('If-Match: W/"a"',),
    ('If-Match: "*"',), ("If-None-Match: *",), ("If-None-Match:  *\t",), ("If-Match: *", "If-None-Match: *"),
    ('If-Match: "a"', "Ccs-TTL: keep"), ("Ccs-Fence: 1",), ("Ccs-Fence: 9007199254740991",),
    ("If-Match: *", "Ccs-Fence: 1"),
]  # fmt: skip
_HOLDING = [
    ("If-Match: *",), ('If-None-Match: "a"',), ('If-None-Match: "a" , W/"b"',), ('If-None-Match: "*"',),
    ('If-None-Match: "a"', 'If-None-Match: "b"'), ("If-Match: *", 'If-None-Match: "a"'), ('If-None-Match: "a,b"',),
    ("Ccs-TTL: keep",), ("Ccs-TTL: 0",), ("Ccs-TTL: 2147483647",), ("If-Match: *", "Ccs-TTL: 3600"),
]  # fmt: skip
_UNDERSCORED = [
    ('If_Match: "a"',), ("If_None_Match: *",), ("If-None_Match: *",), ("Ccs_Fence: 1",), ("Ccs_TTL: x",),
]  # fmt: skip


@st.composite
def _with_fields(draw: st.DrawFn, choices: list[tuple[str, ...]]) -> Message:
    """One of these groups of header fields, with their names in any case."""
    lines = []
    for line in draw(st.sampled_from(choices)):
        name, colon, text = line.partition(":")
        lines.append(draw(_in_other_case(name)) + colon + text)
    return Message(draw(_values), extra=tuple(lines))


def _in_other_case(method: str) -> st.SearchStrategy[str]:
    return st.lists(st.booleans(), min_size=len(method), max_size=len(method)).map(
        lambda lower: "".join(
            letter.lower() if is_lower else letter
            for letter, is_lower in zip(method, [True, *lower[1:]], strict=True)
        )
    )


RULES = [
    Rule("all chunked framing of RFC 9112, section 7.1, is accepted", _SAVED, _in_chunks()),
    Rule(
        "an additional field with any name is ignored",
        _SAVED,
        _sent(extra=_names.map(lambda name: (f"X-{name}: 1",))),
    ),
    Rule(
        "a method in lower case is not that method",
        _NOT_THERE,
        _sent(method=st.sampled_from(_METHODS).flatmap(_in_other_case)),
    ),
    Rule(
        "an unknown method is refused, however long",
        _NOT_THERE | {414, 431},
        _sent(
            method=st.text(ascii_letters + digits + "-_!", min_size=1, max_size=30)
            .map("X{}".format)
            .flatmap(
                lambda text: st.integers(1, _LONGEST_METHOD // len(text)).map(
                    lambda times: text * times
                )
            )
        ),
    ),
    Rule(
        "a request without Host, or with two, is refused",
        _BAD,
        _sent(
            hosts=_lines(
                (), ("Host: a", "Host: b"), ("Host: localhost", "Host: localhost"), ("Host: a, b",)
            )
        ),
    ),
    Rule(
        "a header name with underscores is not the one with hyphens",
        _UNAUTHORIZED,
        _sent(
            credential=_lines(
                (f"maven_api_key: {KEY}",),
                (f"maven-api_key: {KEY}",),
                (f"MAVEN_API_KEY: {KEY}", "maven-api_key: wrong"),
            )
        ),
    ),
    Rule(
        "a header name with underscores does not affect the one with hyphens",
        _SAVED | _BAD,
        _sent(
            credential=_lines(
                (f"maven-api-key: {KEY}", "maven_api_key: wrong"),
                ("maven_api_key: wrong", f"maven-api-key: {KEY}"),
            )
        ),
    ),
    Rule(
        "two keys are refused",
        _UNAUTHORIZED,
        _sent(
            credential=st.text(ascii_lowercase, min_size=1, max_size=50).flatmap(
                lambda wrong: st.permutations([f"maven-api-key: {KEY}", f"Maven-Api-Key: {wrong}"]).map(tuple)
            )
        ),
    ),
    Rule("an invalid header field is refused", _BAD, _with_a_broken_field()),
    Rule("a condition, TTL or fence that cannot be read is refused", _BAD, _with_fields(_UNREADABLE)),
    Rule("a condition or fence that does not hold refuses the save", _FAILED, _with_fields(_FAILING)),
    Rule("conditions that hold, and a TTL, let it save", _SAVED, _with_fields(_HOLDING)),
    Rule("a condition or fence with underscores in its name is none", _SAVED, _sent(extra=_lines(*_UNDERSCORED))),
    Rule("broken chunks are refused", _BAD, _in_broken_chunks()),
    Rule("unfinished chunks are refused", _BAD, _in_unfinished_chunks()),
    Rule("unsupported transfer codings are refused", _BAD | {501}, _in_a_coding()),
    Rule("contradictory lengths are refused", _BAD, _with_two_lengths()),
    # RFC 9112, section 6.3, allows both, and closing the connection.
    Rule("a length beside chunks is refused or ignored", _SAVED | _BAD, _with_a_length_beside_chunks()),
]  # fmt: skip
