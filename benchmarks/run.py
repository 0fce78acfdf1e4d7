"""All benchmarks: `python -m benchmarks.run [emit] [throughput]`, or `make bench`.

The figures of one run can be compared with each other; those of two runs or machines cannot.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

BENCHMARKS = ("emit", "throughput")


def main(chosen: list[str]) -> int:
    """Run the chosen benchmarks in folders of their own; all of them by default."""
    if unknown := set(chosen) - set(BENCHMARKS):
        print(f"There is no benchmark {unknown.pop()}: use {' or '.join(BENCHMARKS)}.")
        return 64
    with tempfile.TemporaryDirectory(prefix="dt-") as name:
        for variable in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            os.environ[variable] = str(Path(name, variable))
            Path(name, variable).mkdir(mode=0o700)
        os.environ.pop("DRYTORCH_BROKER", None)
        from benchmarks import emit_cost, throughput

        if not chosen or "emit" in chosen:
            emit_cost.show(emit_cost.measure())
        if not chosen or "throughput" in chosen:
            throughput.show(throughput.measure())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
