"""The numeric limits of the contract. For those of names see `names`; for those that an operator sets, `settings`."""

FOREVER = 0
"""The time to live of a property that never expires (contract, section 2)."""

MAX_TTL_SECONDS = 2_147_483_647
"""The maximum time to live (section 2).

The store's statements decide which time to live is in force, by the clock of the database.
"""

MAX_BODY_BYTES = 1 << 20
"""The maximum size of a request body, in bytes (section 1)."""

MAX_NESTING = 100
"""The maximum number of levels in a value (section 1)."""

PER_PAGE = 100
"""The default number of sessions in a page (section 3)."""

MAX_PER_PAGE = 1000
"""The maximum number of sessions in a page (section 3)."""

MAX_ANSWER_CHARACTERS = 8_000_000
"""The maximum size of the answer to a batch (section 7 of the extension's contract)."""

MAX_OPERATIONS = 100
"""The maximum number of operations in a batch (section 7 there)."""

MAX_LEASE_SECONDS = 3600
"""The maximum time of a lease (section 9 there)."""

MAX_OWNER = 256
"""The maximum number of characters of a lease's owner (section 9 there)."""

MAX_FENCE = 2**53 - 1
"""The maximum of a fence, so that every JSON parser reads it exactly (section 9 there)."""

MAX_APPENDED = 1000
"""The maximum number of elements to append at once (section 8 there)."""

MAX_DIGITS = 100
"""The maximum number of digits, and of the exponent, of a number to add (section 8 there)."""

MAX_KEY_NAMESPACES = 100
"""The maximum number of namespaces, or beginnings of such, that a key may be limited to."""

MAX_OVERLAP_SECONDS = 604_800
"""The longest time that a key stays valid after it was rotated (extension, section 6)."""

MIN_SESSION_TOKEN_SECONDS = 60
MAX_SESSION_TOKEN_SECONDS = 3600
"""The shortest and the longest time that a session token is valid (extension, section 6)."""

SESSION_TOKEN_SECONDS = 900
"""The time that a session token is valid by default (extension, section 6)."""

MAX_TOKEN_NAMES = 20
"""The maximum number of properties that a session token may be limited to (extension, section 6)."""

MAX_KEPT = 2**31 - 1
"""The maximum number of elements that an append keeps: that of PostgreSQL's integer."""

MAX_EXPORT_LINES = 10_000
"""The maximum number of lines that a page of an export is made of (extension, section 12)."""

EXPORT_LINES = 1000
"""The number of lines that a page of an export is made of by default (section 12)."""

MAX_IMPORT_DOCUMENTS = 1000
"""The maximum number of documents that one import changes.

It locks each of them. PostgreSQL has room for 6,400 locks in all if nothing else is configured.
"""

KEEP_CHANGES_SECONDS = 604_800
"""The time for which the change log keeps a change by default (extension, section 3)."""

MAX_KEEP_CHANGES_SECONDS = 395 * 86_400
"""The longest time for which the change log keeps a change (extension, section 3)."""

MAX_CHANGE_FILTERS = 20
"""The maximum number of namespaces, and of types, that a reader of the change log may name (extension, section 3)."""

MAX_WEBHOOKS = 20
"""The maximum number of webhooks of an account (extension, section 3)."""

SECRET_OVERLAP_SECONDS = 86_400
"""The time for which a webhook's old secret still signs by default, after it was rotated."""

MAX_INDEX_NAMES = 8
"""The maximum number of names that a namespace indexes (extension, section 2)."""

MAX_MATCHES = 10
"""The maximum number of strings of each kind that an erasure looks for (extension, section 5)."""

MAX_MATCH_LENGTH = 1000
"""The maximum number of characters of such a string."""

MAX_JOB_NAMESPACES = 100
"""The maximum number of namespaces that an erasure may be limited to."""

MAX_REFERENCE = 256
"""The maximum number of characters of a job's reference."""
