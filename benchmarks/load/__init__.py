"""Load generation: requests, the generators that send them, and their measurements."""

from benchmarks.load.requests import Client, NoResponseError, Operation, Request, WrongResponseError
from benchmarks.load.wrk import Load, Measurement

__all__ = [
    "Client",
    "Load",
    "Measurement",
    "NoResponseError",
    "Operation",
    "Request",
    "WrongResponseError",
]
