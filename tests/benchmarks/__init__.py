"""Each `bench_*.py` measures one path beside its rivals in one run; `python -m tests.benchmarks` runs them all."""

NOT_INSTALLED = "not installed: pip install -r requirements/bench.txt"
"""What a rival's row says where its package is missing; the rest of the table is measured all the same."""
