"""`ccs demo`: fills an account with conversations, so that there is something to look at."""

import signal
import time

import click

from ccs_server.cli.common import AccountName, as_json_option, opened_store, operator, say
from ccs_server.cli.serve import FIRST_ACCOUNT

# A signal that comes just before the process falls asleep does not wake it.
_LONGEST_SLEEP_SECONDS = 0.5


@click.command()
@click.argument("account", type=AccountName(), default=FIRST_ACCOUNT)
@click.option("--once", is_flag=True, help="Fill the account and end.")
@as_json_option
def demo(account: str, *, once: bool, as_json: bool) -> None:
    """Fill ACCOUNT ('demo') with an hour of made-up conversations, and keep them moving until Ctrl-C.

    Run it beside the service, with the same CCS_* variables. It saves to the namespaces 'airline' and 'bank', and
    switches on their change log. What it saves expires within an hour after the last save.
    """
    # Imported here because the other commands do not need it.
    from random import Random  # noqa: PLC0415

    from ccs_server.demo.playing import NAMESPACES, Demo  # noqa: PLC0415

    # SIGTERM ends it as Ctrl-C does, so that a database that was started for it is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with opened_store() as opened:
        conversations = Demo(opened.database, account, operator(), Random())  # noqa: S311 - no secrets
        filled = conversations.fill()
        began = time.monotonic()
        said = {"account": account, "conversations": filled.conversations, "open": filled.open}
        text = (
            f"Account '{account}' has {filled.conversations} more conversations, in {' and '.join(NAMESPACES)}. "
            f"{filled.open} of them {'are open' if once else 'go on, and others begin, until Ctrl-C'}."
        )
        try:
            say(said, text, as_json=as_json)
            if once:
                return
            # An exception that a signal raises may be lost, in a callback of a library for example.
            asked_to_end: list[int] = []
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, lambda number, _: asked_to_end.append(number))
            while not asked_to_end:
                pause = conversations.advance(time.monotonic() - began)
                time.sleep(min(pause, _LONGEST_SLEEP_SECONDS))
        except KeyboardInterrupt:
            return
