"""The rules of the contract in plain Python: names, limits, times to live, errors. Imports no other layer."""
