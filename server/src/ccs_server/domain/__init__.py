"""The rules of the contract in plain Python: names, limits, times to live, errors. It imports nothing of the other layers."""
