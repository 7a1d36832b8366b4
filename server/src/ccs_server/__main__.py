"""`python -m ccs_server` is `ccs`."""

from ccs_server.cli import main

if __name__ == "__main__":
    main(prog_name="ccs")
