"""`ccs doctor`: says what is wrong with an installation, and what to do."""

import os
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import urlsplit

import click

from ccs_server.cli.common import as_json_option, say
from ccs_server.doctor.addresses import check_addresses
from ccs_server.doctor.databases import check_database
from ccs_server.doctor.finding import Finding, Severity
from ccs_server.doctor.proxy import check_proxy
from ccs_server.doctor.storage import check_data_dir, check_space
from ccs_server.doctor.variables import check_names, check_values
from ccs_server.settings import Settings


class _PublicUrl(click.ParamType[str]):
    """The type of an option that is the URL of a service."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the value; the command fails if it is not a URL."""
        try:
            parts = urlsplit(value)
            valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            self.fail(
                f"It must be a URL such as https://ccs.example.org, not {value!r}.", param, ctx
            )
        return value


@click.command()
@click.option(
    "--url", type=_PublicUrl(), help="The public URL of the service; checks the proxy there."
)
@as_json_option
def doctor(url: str | None, *, as_json: bool) -> None:
    """Check the set-up: variables, addresses, directories, disks, the database and, with --url, the proxy.

    Run it as the user and with the variables of the service, which may be running. It changes nothing. The exit code
    is 1 if there is a problem.
    """
    found = _examine(url)
    findings = [finding for each in found.values() for finding in each]
    problems = sum(finding.severity is Severity.PROBLEM for finding in findings)
    said = {
        "checked": list(found),
        "findings": [
            {"subject": subject, **asdict(finding)}
            for subject, each in found.items()
            for finding in each
        ],
    }
    say(said, _as_text(found, problems, len(findings) - problems), as_json=as_json)
    if problems:
        raise SystemExit(1)


def _examine(url: str | None) -> dict[str, list[Finding]]:
    """Runs the checks; returns the findings of each. Without valid settings, only some can run."""
    settings, wrong = check_values(os.environ)
    found = {"variables": check_names(os.environ) + wrong}
    if settings:
        for subject, check in _CHECKS.items():
            if subject == "database" and found.get("data directory"):
                continue  # It says why the database cannot be started.
            if subject == "data directory" and settings.database_url:
                continue
            found[subject] = check(settings)
    if url:
        found["proxy"] = check_proxy(url)
    return found


_CHECKS: dict[str, Callable[[Settings], list[Finding]]] = {
    "addresses": check_addresses,
    "data directory": check_data_dir,
    "disk": check_space,
    "database": check_database,
}


def _as_text(found: dict[str, list[Finding]], problems: int, warnings: int) -> str:
    lines = []
    for subject, findings in found.items():
        if not findings:
            lines.append(f"{subject}: fine")
        for finding in findings:
            lines += [
                f"{subject}: {finding.severity.upper()}",
                f"  {finding.what}",
                f"  Why it matters: {finding.why}",
                f"  What to do: {finding.remedy}",
            ]
    return "\n".join([*lines, "", f"Problems: {problems}. Warnings: {warnings}."])
