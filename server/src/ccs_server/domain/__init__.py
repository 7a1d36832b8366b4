"""The rules of the contract in plain Python: names, limits, times to live and errors. It imports no other layer."""
