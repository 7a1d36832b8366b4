"""haproxy, for tests that need a proxy."""

from pathlib import Path

import pytest

HAPROXY = Path("/usr/sbin/haproxy")

needs_haproxy = pytest.mark.skipif(
    not HAPROXY.exists(), reason="NOT TESTED: it takes haproxy (apt-get install haproxy)"
)
