"""`python -m orders` is the `orders` command."""

import sys

from orders.entrypoints.cli import main

if __name__ == "__main__":
    sys.exit(main())
