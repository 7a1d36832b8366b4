"""The stacks that are measured: the service, its floor, and its peers."""
