"""The open, self-hosted Conversation Context Service."""
