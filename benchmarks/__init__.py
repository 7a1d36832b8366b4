"""The benchmark: the service, its floor and its peers, measured in one run (`nox -s bench`)."""
