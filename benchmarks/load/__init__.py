"""Load: requests, the generators that send them, and what they measured."""

from benchmarks.load.requests import Client, NoAnswerError, Operation, Request, WrongAnswerError
from benchmarks.load.wrk import Load, Measurement

__all__ = [
    "Client",
    "Load",
    "Measurement",
    "NoAnswerError",
    "Operation",
    "Request",
    "WrongAnswerError",
]
