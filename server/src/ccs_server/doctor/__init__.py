"""What may be wrong with an installation. `ccs doctor` runs these checks and changes nothing.

Each module checks one subject, and returns what it has found: what is wrong, why that matters, and what to do.
"""
