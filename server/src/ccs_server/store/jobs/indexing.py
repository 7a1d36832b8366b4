"""Fills the index of a namespace while writes go on (`search_index`)."""

from typing import Literal

from msgspec import Struct
from msgspec.json import Decoder, encode

from ccs_server.domain.errors import BUSY, Unavailable
from ccs_server.store.connection import Statement
from ccs_server.store.jobs.estimating import estimate_namespace
from ccs_server.store.jobs.run import Claim, Counts, number_in, text_in
from ccs_server.store.search_index import CLEAN, FILL, MARK_READY
from ccs_server.store.writers import await_writers

FILLED_AT_ONCE = 1000
"""The number of rows that one statement looks at."""

# A write that changes several documents at once may wait for this one, and this one for it. This one gives in, long
# before PostgreSQL looks for deadlocks, and tries again.
LIMIT_WAITS = Statement.of("job_limit_waits", "SELECT set_config('lock_timeout', '100ms', true)")


class IndexRequest(Struct):
    """Which index to fill: that of this generation of the namespace's settings."""

    namespace: str
    generation: int


class _Position(Struct, omit_defaults=True):
    stage: Literal["waiting", "filling", "cleaning"] = "waiting"
    session: str = ""
    name: str = ""


_request = Decoder(IndexRequest)
_position = Decoder(_Position)


class Indexing:
    """The filling of an index that this run carries on, step by step."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._request = _request.decode(claim.request)
        self._position = _position.decode(claim.position) if claim.position else _Position()

    def step(self) -> bool:
        """Does the next step; returns whether nothing is left to do."""
        if self._position.stage == "waiting":
            return self._wait()
        try:
            return self._go_through(self._position)
        except Unavailable as error:
            if error.message != BUSY:
                raise
            return False

    def _wait(self) -> bool:
        """Waits for the writes that may not know of the index."""
        await_writers(self._claim.database)
        self._position = _Position("filling")
        with self._claim.step() as connection:
            total = estimate_namespace(connection, self._claim.account, self._request.namespace)
            self._claim.save(connection, encode(self._position), Counts(), total)
        return False

    def _go_through(self, position: _Position) -> bool:
        """Goes through some more properties, or entries. It ends early if the namespace has another index now."""
        request = self._request
        is_filling = position.stage == "filling"
        place = self._claim.account.encode(), request.namespace.encode()
        params = (
            *place,
            position.session.encode(),
            position.name.encode(),
            b"%d" % FILLED_AT_ONCE,
            b"%d" % request.generation,
        )
        with self._claim.step() as connection:
            connection.execute(LIMIT_WAITS)
            found = connection.execute(FILL if is_filling else CLEAN, params)
            if found.get_value(0, 0) is None:
                return True
            count = number_in(found, 0)
            following = _Position(position.stage, text_in(found, 1), text_in(found, 2))
            is_over = count < FILLED_AT_ONCE
            if is_over and is_filling:
                connection.execute(MARK_READY, (*place, b"%d" % request.generation))
                following = _Position("cleaning")
            counts = Counts(examined=count) if is_filling else Counts()
            self._claim.save(connection, encode(following), counts)
        self._position = following
        return is_over and not is_filling
