"""An agent's desktop follows a conversation live, through a kill of the service: python docs/examples/live_desktop.py.

It starts a service of its own, with the database of CCS_DATABASE_URL or an embedded one in a temporary directory. So it
needs `ccs` in the PATH, and no other setting.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread

from ccs_sdk import ContextClient

ACCOUNT = "live-desktop"

BEFORE = ["caller: I want to rebook.", "bot: To which day?", "caller: Friday."]
AFTER = ["bot: 9:40 or 14:10?", "caller: 14:10.", "bot: Done. Goodbye."]


def say(who: str, what: str) -> None:
    """Prints what somebody sees or does."""
    print(f"{who:>8} | {what}", flush=True)


@contextmanager
def service(port: int, end: signal.Signals) -> Iterator[None]:
    """Runs the service until the end of the block, which sends it a signal."""
    serve = ["ccs", "serve", "--port", str(port), "--workers", "1", "--json"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own arguments
        next(iter(process.stdout or ()))  # it is ready
        try:
            yield
        finally:
            process.send_signal(end)


def admin_key() -> str:
    """Makes a key that may switch the log on."""
    create = ["ccs", "keys", "create", ACCOUNT, "--scope", "admin", "--json"]
    made = subprocess.run(create, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own arguments
    key: str = json.loads(made.stdout)["key"]
    return key


def follow(client: ContextClient, seen: "Queue[str]") -> None:
    """The desktop: shows each line of the conversation as it is saved."""
    for change in client.changes("airline", session_id="conv-1", name="line"):
        say("desktop", change.value)
        seen.put(change.value)


def talk(client: ContextClient, lines: list[str], seen: "Queue[str]") -> None:
    """The bot and the caller: each line is said when the desktop has shown the one before."""
    for line in lines:
        client.namespace("airline").session("conv-1")["line"] = line
        if seen.get(timeout=60) != line:
            raise SystemExit("The desktop has shown something else.")


def main() -> None:
    """Lets them talk, kills the service, and lets them go on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    seen: Queue[str] = Queue()
    with service(port, signal.SIGKILL):
        client = ContextClient(f"http://127.0.0.1:{port}", ACCOUNT, api_key=admin_key())
        client.namespace("airline").configure(changes="values")
        Thread(target=follow, args=(client, seen), daemon=True).start()
        talk(client, BEFORE, seen)
    say("service", "killed")
    # The bot notices nothing but that it takes longer.
    going_on = Thread(target=talk, args=(client, AFTER, seen))
    going_on.start()
    say("service", "started again")
    with service(port, signal.SIGTERM):
        going_on.join()
    say("desktop", f"{len(BEFORE + AFTER)} lines, and {seen.qsize()} shown twice.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ccs-desktop-") as directory:
        os.environ.setdefault("CCS_DATA_DIR", directory)
        os.environ.setdefault("CCS_ACCESS_LOG", "off")
        main()
