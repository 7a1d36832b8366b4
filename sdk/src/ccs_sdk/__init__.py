"""Typed client of the Conversation Context Service."""
