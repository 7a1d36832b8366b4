"""Entity tags and conditions (RFC 9110, section 13; section 1 of the extension's contract).

An entity tag is made of the content alone, so it is the same after a purge, a failover or a restore, and a value that
comes back has its old tag again.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from ccs_server.domain.errors import InvalidInput

Tags = frozenset[str]
"""Entity tags with their quotes, or ANY."""

ANY: Tags = frozenset("*")
"""The condition `*`: that there is something, whatever its tag."""

_MOST_TAGS = 20
_DIGITS = 32

_tag = r'(?:W/)?("[\x21\x23-\x7e\x80-\U0010ffff]+")'
_find_tags = re.compile(_tag).findall
_is_list = re.compile(rf"[ \t]*{_tag}(?:[ \t]*,[ \t]*{_tag})*[ \t]*").fullmatch


def etag_of(content: bytes) -> str:
    """Returns the entity tag of a JSON text: the start of its SHA-256, in quotes."""
    return f'"{sha256(content).hexdigest()[:_DIGITS]}"'


def read_tags(text: str, field: str) -> Tags:
    """Parses a list of entity tags, or `*`. The prefix `W/` is ignored, since proxies add it.

    Raises:
        InvalidInput: it is no such list. A condition that cannot be read must not count as none.
    """
    if text.strip(" \t") == "*":
        return ANY
    tags = _find_tags(text) if _is_list(text) else []
    if not 0 < len(tags) <= _MOST_TAGS:
        raise InvalidInput(
            f'{field} must be * or 1 to {_MOST_TAGS} entity tags in quotes, such as "abc", "def".',
            field,
        )
    return frozenset(tags)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold of a property or a document for a request to take place; None is no condition."""

    if_match: Tags | None = None
    if_none_match: Tags | None = None

    def __bool__(self) -> bool:
        return self.if_match is not None or self.if_none_match is not None

    def matches(self, etag: str | None, *, present: bool) -> bool:
        """Whether `if_match` holds; `etag` is None if there is nothing that has one."""
        return self.if_match is None or _is_met(self.if_match, etag, present=present)

    def differs(self, etag: str | None, *, present: bool) -> bool:
        """Whether `if_none_match` holds."""
        return self.if_none_match is None or not _is_met(self.if_none_match, etag, present=present)

    def hold(self, etag: str | None, *, present: bool) -> bool:
        """Whether both conditions hold."""
        return self.matches(etag, present=present) and self.differs(etag, present=present)


UNCONDITIONAL = Conditions()


def _is_met(tags: Tags, etag: str | None, *, present: bool) -> bool:
    return present if tags == ANY else etag in tags
