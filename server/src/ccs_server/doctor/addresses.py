"""Checks that the service can listen where it is told to."""

import json
from http.client import HTTPConnection, HTTPException

from ccs_server.doctor.finding import Finding
from ccs_server.serving.listener import ListenError, Options, PortInUseError, listen
from ccs_server.settings import Settings

_ANSWER_SECONDS = 3.0


def check_addresses(settings: Settings) -> list[Finding]:
    """Listens at each address for a moment. An address is also fine if a running `ccs serve` has it."""
    found = _check(settings.host, settings.port, Options("CCS_HOST", "CCS_PORT"))
    # Without a setting, the operations listener takes another port if its own is in use.
    if isinstance(settings.operations_port, int):
        options = Options("CCS_OPERATIONS_HOST", "CCS_OPERATIONS_PORT")
        found += _check(settings.operations_host, settings.operations_port, options)
    return found


def _check(host: str, port: int, options: Options) -> list[Finding]:
    try:
        for listener in listen(host, port, options=options):
            listener.close()
    except PortInUseError as error:
        if _is_service(host, port):
            return []
        remedy = (
            f"Stop the other program ('ss -ltnp sport = :{port}' names it), or set {options.port}."
        )
        return [Finding(str(error), "Another program has the port.", remedy)]
    except ListenError as error:
        remedy = f"Correct {options.host} and {options.port}."
        return [
            Finding(str(error), "The service cannot listen there, so it does not start.", remedy)
        ]
    return []


def _is_service(host: str, port: int) -> bool:
    """Whether a `ccs serve` responds there."""
    connection = HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and "status" in answer
