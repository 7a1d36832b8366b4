"""The migrations, one numbered module for each."""
