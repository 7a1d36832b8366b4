"""`ccs` without what always observes it: `python -m benchmarks.stacks.unobserved serve …` counts and times nothing.

Logs, traces and the page with the metrics can be switched off by settings; that requests and statements are counted
cannot. So this takes the counting out, to show what all of it costs together.
"""

from unittest.mock import patch

from ccs_server.cli import main
from ccs_server.http import metrics
from ccs_server.http.statements import Statements

if __name__ == "__main__":
    with (
        patch.object(metrics, "count", lambda _exchanges: None),
        patch.object(Statements, "add", lambda _self, _statements, _began, _error: None),
    ):
        main()
