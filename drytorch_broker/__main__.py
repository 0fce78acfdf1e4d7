"""`python -m drytorch_broker` is the command `drytorch-broker`."""

import sys

from drytorch_broker.cli import main

if __name__ == "__main__":
    sys.exit(main())
