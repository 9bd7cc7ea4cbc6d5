"""`python -m tests.chaos --rounds N --seed S`: prints one JSON object, exits 1 where an invariant broke."""

import argparse
import json
import sys

from tests.chaos.harness import Chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", default="chaos", help="folder below .var; two runs at once need two")
    parser.add_argument("--verbose", action="store_true", help="one line a round")
    options = parser.parse_args()
    report = Chaos(options.rounds, options.seed, verbose=options.verbose, name=options.name).run()
    print(json.dumps(report, indent=2))
    return 0 if report["survived"] == options.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
