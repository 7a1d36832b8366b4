"""The limits of the contract that are numbers; `names` has those of names, `settings` those that an operator sets."""

FOREVER = 0
"""The time to live of what never expires (section 2)."""

MAX_TTL_SECONDS = 2_147_483_647
"""Section 2. Which time to live is in force is decided by the store's statements, by the database's clock."""

MAX_BODY_BYTES = 1 << 20
"""Bytes of a request's body (section 1)."""

MAX_NESTING = 100
"""Levels that a value may be nested (section 1)."""

PER_PAGE = 100
"""Sessions of a page where the request does not say (section 3)."""

MAX_PER_PAGE = 1000
"""Section 3."""
