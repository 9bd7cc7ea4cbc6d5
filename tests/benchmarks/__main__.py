"""`python -m tests.benchmarks [NAME ...] [--list]`: the named benches, or all, one after another.

An interpreter each, so that none warms up, slows down or fattens the next. Ends non-zero where one fails.
"""

import argparse
import ast
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PREFIX = "bench_"


def benches() -> dict[str, Path]:
    """Name without the prefix -> file, in order of name."""
    return {path.stem.removeprefix(PREFIX): path for path in sorted(HERE.glob(f"{PREFIX}*.py"))}


def title(path: Path) -> str:
    """The first line of the file's docstring; the file is not imported for it."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or path.stem).splitlines()[0]


def run(name: str, path: Path) -> int:
    print(f"== {name}: {title(path)}", flush=True)
    began_s = time.monotonic()
    code = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{path.stem}"], cwd=ROOT, check=False).returncode
    ending = "" if code == 0 else f", FAILED with exit code {code}"
    print(f"-- {name}: {time.monotonic() - began_s:.0f} s{ending}\n", flush=True)
    return code


def main() -> int:
    known = benches()
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure, one after another.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones, with or without bench_; default all")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    options = parser.parse_args()
    names = [name.removeprefix(PREFIX).removesuffix(".py") for name in options.names] or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no such bench: {', '.join(unknown)}; there are {', '.join(known)}")
    if options.list:
        for name in names:
            print(f"{name:20} {title(known[name])}")
        return 0
    failed = [name for name in names if run(name, known[name])]
    print(f"{len(names) - len(failed)} of {len(names)} done" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
