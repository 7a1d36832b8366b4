"""Checks the environment variables: names that nothing reads, and values that cannot be used."""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from stat import S_IRWXG, S_IRWXO

from ccs_server.doctor.finding import Finding, Severity
from ccs_server.settings import SettingError, Settings

_OF_SERVER = {f"CCS_{setting.name.upper()}" for setting in fields(Settings)}
_OF_SDK = {"CCS_URL", "CCS_ACCOUNT", "CCS_API_KEY", "CCS_USERNAME", "CCS_PASSWORD"}
_OF_KUBERNETES = ("tcp://", "udp://")


def check_names(environment: Mapping[str, str]) -> list[Finding]:
    """Finds variables that begin with `CCS_` and that neither the server nor the SDK reads."""
    names = sorted(name for name in environment if name.startswith("CCS_"))
    links = [name for name in names if environment[name].startswith(_OF_KUBERNETES)]
    if links:
        # Kubernetes describes a Service named `ccs` by more variables than those with an address.
        return [
            Finding(
                f"Kubernetes has set {', '.join(links)}.",
                "It sets such variables for every Service, and those of a Service named 'ccs' look like settings.",
                "Set 'enableServiceLinks: false' in the pod, or give the Service another name.",
            )
        ]
    return [_unknown(name) for name in names if name not in _OF_SERVER | _OF_SDK]


def check_values(environment: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Reads the settings as `ccs serve` does. They are None if one of them cannot be used."""
    try:
        settings = Settings.from_environment(environment)
    except SettingError as error:
        return None, [
            Finding(
                str(error),
                "The service does not start with a setting that it cannot use.",
                "Correct the value, or unset the variable to use its default.",
            )
        ]
    return settings, _secret_file(settings)


def _unknown(name: str) -> Finding:
    similar = get_close_matches(name, _OF_SERVER, n=1, cutoff=0.7)
    return Finding(
        f"{name} is not a setting.",
        "Nothing reads it, so the setting that it stands for has its default.",
        f"Did you mean {similar[0]}?"
        if similar
        else "Unset it; docs/configuration.md lists the settings.",
        Severity.WARNING,
    )


def _secret_file(settings: Settings) -> list[Finding]:
    file = settings.secret_key_file
    if file is None or not file.stat().st_mode & (S_IRWXG | S_IRWXO):
        return []
    return [
        Finding(
            f"Other users may open {file}, which CCS_SECRET_KEY_FILE names.",
            "Who has the secret key and a copy of the database can sign tokens for every account.",
            f"Run 'chmod 600 {file}', as the user that runs the service.",
            Severity.WARNING,
        )
    ]
