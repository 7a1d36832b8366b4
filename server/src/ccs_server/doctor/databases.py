"""Checks the database: whether it can be reached and used, and whether it keeps what the service promises."""

from collections.abc import Iterator

from ccs_server.doctor.finding import Finding, Severity
from ccs_server.domain.errors import Unavailable
from ccs_server.embedded import EmbeddedError, EmbeddedPostgres
from ccs_server.settings import SettingError, Settings
from ccs_server.store import schema
from ccs_server.store.condition import OLDEST_VERSION, Condition, read_condition
from ccs_server.store.database import Database
from ccs_server.store.faults import StoreFault
from ccs_server.store.signing_keys import check_signing_keys

_MOST_SKEW_SECONDS = 2.0


def check_database(settings: Settings) -> list[Finding]:
    """Connects to the configured database. An embedded one is started for that time if it exists."""
    if settings.database_url:
        return _check(settings.database_url, settings, is_migrated_at_start=False)
    if not (settings.data_dir.expanduser() / "postgres" / "PG_VERSION").exists():
        return []  # `ccs serve` creates it
    try:
        with EmbeddedPostgres(settings.data_dir) as embedded:
            return _check(embedded.url, settings, is_migrated_at_start=True)
    except EmbeddedError as error:
        return [
            Finding(
                str(error),
                "Without its database, the service does not start.",
                "See postgres.log and postgres/log in CCS_DATA_DIR.",
            )
        ]


def _check(url: str, settings: Settings, *, is_migrated_at_start: bool) -> list[Finding]:
    try:
        condition = read_condition(url, settings)
        found = list(_judge(condition))
        if condition.revision is None or condition.revision < schema.CURRENT:
            return found + ([] if is_migrated_at_start else [_not_migrated(condition)])
        found += _check_signing_keys(url, settings)
    except SettingError as error:
        return [_unreachable(str(error))]
    except Unavailable as error:
        return [_unreachable(" ".join(str(error.__cause__ or error.message).split()))]
    except StoreFault as error:
        return [_unreachable(str(error))]
    return found


def _unreachable(reason: str) -> Finding:
    if "unsupported startup parameter" in reason:
        return Finding(
            f"The database is behind a pooler, which refuses the connection: {reason}",
            "A pooler that gives each transaction another connection allows no settings of a connection.",
            "Set CCS_TRANSACTION_POOLER=on, and the settings of the role as docs/operate/database.md says.",
        )
    return Finding(
        f"The database cannot be used: {reason}",
        "Without it, every request gets 503, and the service does not start.",
        "Check host, port, name, user and password in CCS_DATABASE_URL, that the server runs, and that its pg_hba.conf"
        " and firewalls let this machine in. Try the same URL with psql.",
    )


def _judge(condition: Condition) -> Iterator[Finding]:
    if condition.version < OLDEST_VERSION:
        yield Finding(
            f"The server is PostgreSQL {condition.version}.",
            f"The service was tested with {OLDEST_VERSION} and later.",
            f"Upgrade the server to PostgreSQL {OLDEST_VERSION} or later.",
        )
    if condition.encoding != "UTF8":
        yield Finding(
            f"The encoding of the database is {condition.encoding}.",
            "Names and values may have any character of Unicode, which other encodings cannot store.",
            "Create a database with ENCODING 'UTF8' TEMPLATE template0.",
        )
    if condition.is_read_only:
        yield Finding(
            "The database accepts no writes: it is a standby, or read-only.",
            "Every save gets 503, and /readyz says that the service is not ready.",
            "Name all hosts in CCS_DATABASE_URL and add target_session_attrs=read-write, or promote the standby.",
        )
    if condition.not_durable:
        yield Finding(
            f"These settings of PostgreSQL are off: {condition.not_durable}.",
            "A write that was acknowledged can then be lost when the database or its machine fails.",
            "Set them to on: ALTER SYSTEM SET … = on, then SELECT pg_reload_conf().",
        )
    if abs(condition.skew) > _MOST_SKEW_SECONDS + condition.uncertainty:
        direction = "ahead of" if condition.skew > 0 else "behind"
        yield Finding(
            f"The database's clock is {abs(condition.skew):,.1f} s {direction} that of this machine.",
            "The database's clock decides when properties expire, and this machine's when tokens do.",
            "Let NTP set the clocks of both machines ('timedatectl' shows whether it does).",
            Severity.WARNING,
        )
    if condition.revision is not None and condition.revision > schema.CURRENT:
        yield Finding(
            f"The schema is at {condition.revision}, which this release, of {schema.CURRENT}, does not know.",
            "A later release has migrated it. This one works during an upgrade, but not for long.",
            "Finish the upgrade: install the later release here, too.",
            Severity.WARNING,
        )


def _not_migrated(condition: Condition) -> Finding:
    remedy = "Run 'ccs migrate'."
    if not condition.may_create:
        remedy = f"Make the role the owner of the database (ALTER DATABASE … OWNER TO …). {remedy}"
    there = f"at {condition.revision}" if condition.revision else "missing"
    return Finding(
        f"The schema is {there}, and not at {schema.CURRENT}.",
        "The service does not start without a current schema.",
        remedy,
    )


def _check_signing_keys(url: str, settings: Settings) -> list[Finding]:
    database = Database(url, settings)
    try:
        check_signing_keys(database, settings.token_lifetime)
    except Unavailable as error:
        return [
            Finding(
                error.message,
                "The service does not start, because it could neither sign nor check tokens of v2.",
                "Set CCS_SECRET_KEY or CCS_SECRET_KEY_FILE to the key that the other instances have.",
            )
        ]
    finally:
        database.release()
    return []
