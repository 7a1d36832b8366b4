"""What is measured: the service, what it could cost at the least, and its peers."""
