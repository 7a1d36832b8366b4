"""Compares the SDK with other clients by what they do, against a server that misbehaves as it is told."""
