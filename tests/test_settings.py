"""Settings: how they are parsed, and that the documentation lists all of them."""

import os
import re
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from dataclasses import fields
from pathlib import Path

import pytest

from ccs_server.settings import SettingError, Settings

DOCUMENTATION = Path(__file__).parents[1] / "docs" / "configuration.md"


def test_the_documentation_names_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(CCS_\w+)` \| ([^|]+) \|", DOCUMENTATION.read_text(), re.MULTILINE)
    documented = {variable: default.strip("`") for variable, default in map(_stripped, rows)}
    defaults = {f"CCS_{field.name.upper()}": field.default for field in fields(Settings)}
    assert documented.keys() == defaults.keys()
    for variable in defaults.keys() - {"CCS_DATA_DIR"}:
        if documented[variable] == "–":
            assert not defaults[variable]
            continue
        read = Settings.from_environment({variable: documented[variable]})
        assert getattr(read, variable.removeprefix("CCS_").lower()) == defaults[variable], variable


def _stripped(row: tuple[str, str]) -> tuple[str, str]:
    variable, default = row
    return variable, default.strip()


def test_a_user_without_a_home_directory_has_a_data_directory() -> None:
    """As in a systemd unit with DynamicUser, whose user has neither HOME nor an entry in /etc/passwd."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can become a user that does not exist")
    code = "import os; from ccs_server.settings import Settings; os.setuid(61_184); print(Settings().data_dir)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={}
    )
    assert done.stdout == "/var/lib/ccs\n"


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"CCS_PURGE_INTERVAL": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("CCS_ACCESS_LOG", "off", "access_log", False),
        ("CCS_ACCESS_LOG", "True", "access_log", True),
        ("CCS_DATA_DIR", "/srv/ccs", "data_dir", Path("/srv/ccs")),
        ("CCS_PORT", "0", "port", 0),
        ("CCS_PURGE_INTERVAL", "0.5", "purge_interval", 0.5),
        ("CCS_TOKEN_LIFETIME", "60", "token_lifetime", 60),
        ("CCS_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("CCS_TRANSACTION_POOLER", "true", "transaction_pooler", "on"),
        ("CCS_TRANSACTION_POOLER", "prepared", "transaction_pooler", "prepared"),
        ("CCS_RATE_LIMIT", "5/minute", "rate_limit", "5/minute"),
        ("CCS_CORS_ORIGINS", "*", "cors_origins", {"*"}),
        ("CCS_CORS_ORIGINS", "https://a, http://b:1,", "cors_origins", {"https://a", "http://b:1"}),
    ],
)
def test_a_setting_is_converted_to_its_type(
    variable: str, text: str, field: str, value: object
) -> None:
    assert getattr(Settings.from_environment({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CCS_ACCESS_LOG", "perhaps"),
        ("CCS_PORT", "65536"),
        ("CCS_PORT", "-1"),
        ("CCS_PORT", "http"),
        ("CCS_PURGE_INTERVAL", "0"),
        ("CCS_PURGE_INTERVAL", "nan"),
        ("CCS_STATEMENT_TIMEOUT", "inf"),
        ("CCS_STATEMENT_TIMEOUT", "0.0001"),
        ("CCS_CONNECT_TIMEOUT", "0"),
        ("CCS_TOKEN_LIFETIME", "-1"),
        ("CCS_TOKEN_LIFETIME", "1.5"),
        ("CCS_LOG_LEVEL", "loud"),
        ("CCS_RATE_LIMIT", "many"),
        ("CCS_RATE_LIMIT", "0/second"),
        ("CCS_RATE_LIMIT", "5/second; 9/hour"),
        ("CCS_CORS_ORIGINS", "example.com"),
        ("CCS_CORS_ORIGINS", "https://example.com/"),
        ("CCS_CORS_ORIGINS", "https://Example.com"),
        ("CCS_CORS_ORIGINS", "https://example.com https://example.org"),
    ],
)
def test_an_invalid_value_is_refused_with_a_message(variable: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"{variable} must be .*, not '{text}'"):
        Settings.from_environment({variable: text})


KEYS = [bytes([number]) * 32 for number in (0, 251, 255)]
TEXTS = [b64encode(key).decode() for key in KEYS]


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (TEXTS[0], KEYS[:1]),
        (",".join(TEXTS), KEYS),
        (f"{TEXTS[1]}\n {TEXTS[0]}\n", [KEYS[1], KEYS[0]]),
        (urlsafe_b64encode(KEYS[1]).decode(), [KEYS[1]]),
    ],
)
def test_secret_keys_are_read_from_the_variable_or_a_file(
    tmp_path: Path, given: str, keys: list[bytes]
) -> None:
    file = tmp_path / "secret"
    file.write_text(given)
    for environment in ({"CCS_SECRET_KEY": given}, {"CCS_SECRET_KEY_FILE": str(file)}):
        settings = Settings.from_environment(environment)
        assert settings.secret_key == tuple(keys)
        assert str(keys[0]) not in repr(settings)


@pytest.mark.parametrize(
    "given",
    ["letmein", "é", TEXTS[0][:-1], TEXTS[0] + TEXTS[0], b64encode(b"short").decode(), ",,"],
)
def test_an_invalid_secret_key_is_refused_without_showing_it(tmp_path: Path, given: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(given.encode("latin-1"))
    for environment in ({"CCS_SECRET_KEY": given}, {"CCS_SECRET_KEY_FILE": str(file)}):
        with pytest.raises(SettingError, match=r"CCS_SECRET_KEY.* must ") as caught:
            Settings.from_environment(environment)
        assert given not in str(caught.value)


def test_a_file_of_secret_keys_must_exist_and_be_the_only_source(tmp_path: Path) -> None:
    missing = {"CCS_SECRET_KEY_FILE": str(tmp_path / "missing")}
    with pytest.raises(SettingError, match="CCS_SECRET_KEY_FILE must name a readable file"):
        Settings.from_environment(missing)
    with pytest.raises(SettingError, match="Set either CCS_SECRET_KEY or CCS_SECRET_KEY_FILE"):
        Settings.from_environment(missing | {"CCS_SECRET_KEY": TEXTS[0]})
