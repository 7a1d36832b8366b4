"""What a process remembers of namespaces that have features."""

import pytest

from ccs_server.store import features
from ccs_server.store.features import KnownFeatures


def test_a_namespace_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(features, "monotonic", lambda: now)
    known = KnownFeatures()
    assert not known.has_any("a", "ns")
    known.learn("a", "ns", has_any=True)
    assert known.has_any("a", "ns")
    assert not known.has_any("a", "other")
    assert not known.has_any("b", "ns")
    now = 102.0
    assert not known.has_any("a", "ns")


def test_it_is_forgotten_when_it_is_found_without_features() -> None:
    known = KnownFeatures()
    known.learn("a", "ns", has_any=True)
    known.learn("a", "ns", has_any=False)
    known.learn("a", "never", has_any=False)
    assert not known.has_any("a", "ns")


def test_the_memory_is_bounded() -> None:
    known = KnownFeatures()
    for number in range(10_001):
        known.learn("a", str(number), has_any=True)
    assert not known.has_any("a", "0")
    assert known.has_any("a", "10000")
