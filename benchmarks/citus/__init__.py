"""Tries the service on a database that Citus distributes over machines: `python -m benchmarks.citus SOURCE`."""
