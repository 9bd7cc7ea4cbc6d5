"""`python -m avigrid.exchange.simulator`: the simulated exchange without Django."""

import sys

from avigrid.exchange.simulator.launch import main

if __name__ == "__main__":
    sys.exit(main())
