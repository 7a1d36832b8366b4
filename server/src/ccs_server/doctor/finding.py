"""What a check has found."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is: the service cannot work as promised, or it can but probably not as intended."""

    PROBLEM = "problem"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """Something wrong: what, why it matters, and what to do about it, each a sentence or two."""

    what: str
    why: str
    remedy: str
    severity: Severity = Severity.PROBLEM
