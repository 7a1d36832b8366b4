"""The way from an empty database to the tables of `store/tables.py`, in steps that only go forward."""
