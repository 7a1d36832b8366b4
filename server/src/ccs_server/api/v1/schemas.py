"""Queries and fixed bodies of v1."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from ccs_server.api.openapi import NAMESPACE_SCHEMA, SESSION_SCHEMA
from ccs_server.domain.limits import FOREVER, MAX_PER_PAGE, MAX_TTL_SECONDS, PER_PAGE

# PostgreSQL counts the rows to skip in 64 bits.
MAX_PAGE = 2**63 // MAX_PER_PAGE - 1


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


class WholeNumber(fields.Integer):
    """An integer in ASCII digits; Python alone would read `1_0`, `+1` and the digits of any script too."""

    def _validated(self, value: Any) -> int:  # noqa: ANN401 - as marshmallow has it
        if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit()):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class TtlQuery(_Lenient):
    """The time to live to set; left out, what is set stays."""

    ttlSecond = WholeNumber(
        load_default=None,
        allow_none=False,
        validate=validate.Range(FOREVER, MAX_TTL_SECONDS),
        metadata={
            "description": "Seconds that a property lives after a write; 0 is forever.",
            "example": 3600,
        },
    )


class PageQuery(_Lenient):
    """Which page."""

    page = WholeNumber(
        load_default=0,
        validate=validate.Range(0, MAX_PAGE),
        metadata={"description": "The page, from 0."},
    )
    perPage = WholeNumber(
        load_default=PER_PAGE,
        validate=validate.Range(1, MAX_PER_PAGE),
        metadata={"description": "Sessions on a page."},
    )
    after = fields.String(
        load_default=None,
        allow_none=False,
        metadata={
            **SESSION_SCHEMA,
            "description": "The page holds what follows this sessionId, whatever `page` says.",
            "example": "mySession",
        },
    )


class OptionalPageQuery(PageQuery):
    """Which page, if one is asked for at all; without either, all is on one."""

    page = WholeNumber(
        load_default=None,
        allow_none=False,
        validate=validate.Range(0, MAX_PAGE),
        metadata={"description": "The page, from 0; without it and perPage, all.", "example": 0},
    )
    perPage = WholeNumber(
        load_default=None,
        allow_none=False,
        validate=validate.Range(1, MAX_PER_PAGE),
        metadata={"description": "Sessions on a page, 100 unless told.", "example": 100},
    )


class NamespaceBody(_Lenient):
    """The namespace to register."""

    name = fields.String(required=True, metadata={**NAMESPACE_SCHEMA, "example": "myNamespace"})


class SessionBody(_Lenient):
    """The session to set a time to live on."""

    sessionId = fields.String(required=True, metadata={**SESSION_SCHEMA, "example": "mySession"})


class NamespaceResponse(Schema):
    """A namespace."""

    name = fields.String(required=True, metadata={"example": "myNamespace"})
    createdAt = fields.String(
        required=True, metadata={"format": "date-time", "example": "2021-02-26T02:46:38.220Z"}
    )
    ttlSecond = fields.Integer(metadata={"description": "Left out when it is 0.", "example": 3600})


class SessionTtlResponse(Schema):
    """A session that has a time to live set."""

    sessionId = fields.String(required=True, metadata={"example": "mySession"})
    createdAt = fields.String(
        required=True, metadata={"format": "date-time", "example": "2021-02-26T02:46:38.220Z"}
    )
    ttlSecond = fields.Integer(required=True, metadata={"example": 3600})


class SessionPropertiesResponse(Schema):
    """A session with its properties."""

    sessionId = fields.String(required=True, metadata={"example": "mySession"})
    property = fields.Dict(
        keys=fields.String(), required=True, metadata={"example": {"myProperty1": "myValue1"}}
    )
