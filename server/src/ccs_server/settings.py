"""The settings of the service. They are read from the environment and validated when the service starts."""

import os
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Literal, NewType, Self, get_args
from urllib.parse import urlsplit

import platformdirs

from ccs_server.domain.receivers import Networks, read_networks


class SettingError(Exception):
    """A setting is not valid; the message says which one and what it must be."""


def _positive(text: str) -> float:
    number = float(text)
    if not 0.001 <= number < inf:  # noqa: PLR2004 - PostgreSQL's unit is 1 ms, and its 0 means no limit
        raise ValueError
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


Port = NewType("Port", int)
"""A TCP port; 0 selects any free port."""


def _port(text: str) -> Port:
    number = int(text)
    if not 0 <= number <= 65_535:  # noqa: PLR2004 - 16 bits
        raise ValueError
    return Port(number)


def _switch(text: str) -> bool:
    return {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}[
        text.lower()
    ]


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(part.strip() for part in text.split(",") if part.strip())
    for origin in origins - {"*"}:
        scheme, host = urlsplit(origin)[:2]
        if not scheme or not host or origin != f"{scheme}://{host}".lower():
            raise ValueError(origin)
    return origins


_SECRET_KEY_BYTES = 32


def _secret_keys(text: str, variable: str = "CCS_SECRET_KEY") -> tuple[bytes, ...]:
    try:
        keys = tuple(
            b64decode(key.replace("-", "+").replace("_", "/"), validate=True)
            for key in text.replace(",", " ").split()
        )
    except ValueError:
        keys = ()
    if not keys or {len(key) for key in keys} != {_SECRET_KEY_BYTES}:
        # The message does not repeat the value, which may be a secret with a typo.
        raise SettingError(
            f"{variable} must hold 32 random bytes in base64, as 'openssl rand -base64 32' prints them, "
            "or several such keys separated by commas, of which the first encrypts."
        )
    return keys


def _secret_key_file(path: Path) -> tuple[bytes, ...]:
    variable = "CCS_SECRET_KEY_FILE"
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"{variable} must name a readable file of text, not '{path}'."
        ) from error
    return _secret_keys(text, f"The file that {variable} names")


Rate = NewType("Rate", str)
"""A rate in the notation of the package `limits`."""


def read_rate(text: str) -> Rate:
    """Parses a rate; raises ValueError if `text` is not exactly one rate of at least one request."""
    # Imported here because it takes 3 MB of memory, and most installations do not limit rates.
    from limits import parse_many  # noqa: PLC0415

    (rate,) = parse_many(text)
    if rate.amount < 1:
        raise ValueError
    return Rate(text)


Pooler = Literal["off", "on", "prepared"]
"""A transaction pooler in front of the database: none, any one, or one that keeps prepared statements."""


def _pooler(text: str) -> Pooler:
    if text.lower() == "prepared":
        return "prepared"
    return "on" if _switch(text) else "off"


Off = Literal["off"]


def _port_or_off(text: str) -> Port | Off:
    return "off" if text.lower() == "off" else _port(text)


LogLevel = Literal["debug", "info", "warning", "error"]


def _level(text: str) -> str:
    level = text.lower()
    if level not in get_args(LogLevel):
        raise ValueError
    return level


_READERS: dict[object, tuple[Callable[[str], object], str]] = {
    str | None: (str, "text"),
    str: (str, "text"),
    Path: (Path, "a path"),
    Path | None: (Path, "a path"),
    tuple[bytes, ...]: (_secret_keys, "keys in base64"),
    bool: (_switch, "on or off"),
    float: (_positive, "a number from 0.001"),
    int: (_natural, "a whole number from 1"),
    Port: (_port, "a port from 0 to 65535"),
    Pooler: (_pooler, "off, on or prepared"),
    LogLevel: (_level, "debug, info, warning or error"),
    frozenset[str]: (_origins, "origins such as https://example.com, separated by commas, or *"),
    Networks: (read_networks, "networks such as 10.0.0.0/8 or fd00::/8, separated by commas"),
    Port | Off | None: (_port_or_off, "a port from 0 to 65535, or off"),
    Rate | None: (read_rate, "a rate such as 100/second or 5000/minute"),
}


def _data_dir() -> Path:
    try:
        return platformdirs.user_data_path("ccs")
    except RuntimeError:
        # A user without a home directory, such as that of a systemd unit with DynamicUser.
        return Path("/var/lib/ccs")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings. Each field is read from the variable `CCS_` plus its name in capitals, such as `CCS_DATA_DIR`.

    Times are in seconds. `docs/configuration.md` documents every setting; a test compares the two.
    """

    database_url: str | None = field(default=None, repr=False)
    data_dir: Path = field(default_factory=_data_dir)
    host: str = "127.0.0.1"
    port: Port = Port(8000)
    secret_key: tuple[bytes, ...] = field(default=(), repr=False)
    secret_key_file: Path | None = None
    transaction_pooler: Pooler = "off"
    standby_url: str | None = field(default=None, repr=False)
    standby_lag: float = 10.0
    connect_timeout: int = 3
    statement_timeout: float = 5.0
    credential_cache: float = 2.0
    token_lifetime: int = 86_400
    max_retention: int = 395 * 86_400
    audit_retention: int = 395 * 86_400
    purge_interval: float = 60.0
    quota_interval: float = 10.0
    drain_time: float = 0.5
    shutdown_timeout: int = 20
    queue_length: int = 16
    queue_time: float = 0.1
    request_time: float = 20.0
    connection_limit: int = 1000
    stream_limit: int = 100
    header_limit: int = 65_536
    url_limit: int = 16_384
    namespace_limit: int = 10_000
    list_limit: int = 100_000
    list_depth: int = 1_000_000
    rate_limit: Rate | None = None
    rate_limit_storage: str | None = field(default=None, repr=False)
    console: bool = True
    cors_origins: frozenset[str] = frozenset()
    webhook_allow: Networks = ()
    operations_host: str = "127.0.0.1"
    operations_port: Port | Off | None = None
    access_log: bool = True
    log_level: LogLevel = "info"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Reads and validates the settings.

        Raises:
            SettingError: the value of a variable is not valid, or the file that it names cannot be read.
        """
        given: dict[str, object] = {}
        for setting in fields(cls):
            variable = f"CCS_{setting.name.upper()}"
            text = environment.get(variable)
            if not text:
                continue
            read, kind = _READERS[setting.type]
            try:
                given[setting.name] = read(text)
            except (ValueError, KeyError):
                raise SettingError(f"{variable} must be {kind}, not {text!r}.") from None
        file = given.get("secret_key_file")
        if isinstance(file, Path):
            if "secret_key" in given:
                raise SettingError("Set either CCS_SECRET_KEY or CCS_SECRET_KEY_FILE, not both.")
            given["secret_key"] = _secret_key_file(file)
        return cls(**given)  # type: ignore[arg-type]
