"""Alembic migrations from an empty database to the tables in `store/tables.py`. There are no downgrades."""
