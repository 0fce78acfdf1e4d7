"""Say where the results of a training lie, what is in them, and what to try next.

python examples/show_results.py PAR_DIR
"""

import csv
import json
import pathlib
import shlex
import sys

from drytorch_schemas import locations


def describe_csv(path: pathlib.Path) -> str:
    """Return what a CSV file of metrics holds, in one line."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    last = ", ".join(
        f"{name}={value}" for name, value in zip(header[2:], rows[-1][2:], strict=True)
    )
    return f"{len(rows)} row(s); the last: {last}"


def main() -> None:
    """List the artefacts under a folder, newest run first in mind."""
    par_dir = pathlib.Path(sys.argv[1])
    print("\nWhere the results are:")
    for path in sorted(par_dir.glob("csv_metrics/**/*.csv")):
        print(f"  {path}\n      metrics per epoch, {describe_csv(path)}")
    for path in sorted(par_dir.glob("checkpoints/**/epoch_*")):
        files = ", ".join(sorted(file.name for file in path.iterdir()))
        print(f"  {path}\n      checkpoint: {files}")
    for path in sorted(par_dir.glob(".drytorch/*/runs.json")):
        runs = json.loads(path.read_text())
        listed = ", ".join(f"{run['id']} {run['status']}" for run in runs)
        print(f"  {path}\n      the registry of runs: {listed}")

    segments = sorted(locations.journal_dir().glob("*.msgpack"))
    for path in segments:
        print(f"  {path}\n      the journal: every event, {path.stat().st_size:,} bytes")
    if segments:
        files = shlex.join(map(str, segments))
        print("\nWrite the same CSV files again, from the journal alone:")
        print(f"  .venv/bin/drytorch replay {files} --to csv --par-dir replayed")
        print("See the runs that the journal holds:\n  .venv/bin/drytorch runs")


if __name__ == "__main__":
    main()
