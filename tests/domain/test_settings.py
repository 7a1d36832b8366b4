"""Settings: how they are read, and that the documentation knows them all."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ccs_server.settings import SettingError, Settings

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "configuration.md"


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


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.from_environment({"CCS_PURGE_INTERVAL": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("CCS_ACCESS_LOG", "off", "access_log", False),
        ("CCS_ACCESS_LOG", "True", "access_log", True),
        ("CCS_DATA_DIR", "/srv/ccs", "data_dir", Path("/srv/ccs")),
        ("CCS_PURGE_INTERVAL", "0.5", "purge_interval", 0.5),
        ("CCS_TOKEN_LIFETIME", "60", "token_lifetime", 60),
        ("CCS_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("CCS_RATE_LIMIT", "5/minute", "rate_limit", "5/minute"),
        ("CCS_CORS_ORIGINS", "*", "cors_origins", {"*"}),
        ("CCS_CORS_ORIGINS", "https://a, http://b:1,", "cors_origins", {"https://a", "http://b:1"}),
    ],
)
def test_it_is_read_as_its_type(variable: str, text: str, field: str, value: object) -> None:
    assert getattr(Settings.from_environment({variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CCS_ACCESS_LOG", "perhaps"),
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
def test_what_cannot_be_read_is_told(variable: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"{variable} must be .*, not '{text}'"):
        Settings.from_environment({variable: text})
