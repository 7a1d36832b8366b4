"""The service, its floors and its peers, measured in one run: `nox -s bench`."""
