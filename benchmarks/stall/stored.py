"""Which steps each tool has stored, read from its files afterwards."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_BLOCK = 32_768
_HEADER = 7


def ours(folder: Path) -> set[int]:
    """Return the steps in our tracker's CSV file."""
    return _rows(folder, "*.steps.csv", "Step")


def drytorch(folder: Path) -> set[int]:
    """Return the steps in DRYTorch's CSV file."""
    return _rows(folder, "Loop.csv", "Epoch")


def _rows(folder: Path, pattern: str, column: str) -> set[int]:
    steps: set[int] = set()
    for path in folder.glob(f"csv_metrics/**/{pattern}"):
        with path.open(newline="") as file:
            steps |= {int(row[column]) for row in csv.DictReader(file) if row["accuracy"]}
    return steps


def tensorboard(folder: Path) -> set[int]:
    """Return the steps of which both scalars are in the event files."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, set[int]] = {"loss": set(), "accuracy": set()}
    for path in folder.glob("tb/events*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found.setdefault(value.tag, set()).add(event.step)
    return found["loss"] & found["accuracy"]


def trackio(folder: Path) -> set[int]:
    """Return the steps in Trackio's database."""
    return _query(folder / "trackio" / "stall.db", "SELECT DISTINCT step FROM metrics")


def mlflow(folder: Path) -> set[int]:
    """Return the steps in the database of MLflow's server."""
    return _query(folder / "mlflow.db", "SELECT DISTINCT step FROM metrics WHERE key = 'accuracy'")


def _query(path: Path, statement: str) -> set[int]:
    if not path.exists():
        return set()
    connection = sqlite3.connect(path)
    try:
        return {int(row[0]) for row in connection.execute(statement)}
    except sqlite3.Error as error:  # a database that nobody can read holds nothing
        print(f"{path}: {error}", file=sys.stderr)
        return set()
    finally:
        connection.close()


def wandb(folder: Path) -> set[int]:
    """Return the steps in W&B's own file, a LevelDB log of protobuf records."""
    from wandb.proto.wandb_internal_pb2 import Record

    steps: set[int] = set()
    for path in folder.glob("wandb/offline-run-*/run-*.wandb"):
        for data in _leveldb(path.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                items = {item.key or item.nested_key[0]: item for item in record.history.item}
                if "loss" in items:
                    steps.add(int(json.loads(items["_step"].value_json)))
    return steps


def _leveldb(data: bytes) -> Iterator[bytes]:
    """Yield the records of a LevelDB log (github.com/google/leveldb, doc/log_format.md)."""
    place, parts = _HEADER, b""
    while place + _HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:
            place += left
            continue
        size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        piece = data[place + _HEADER : place + _HEADER + size]
        place += _HEADER + size
        parts = piece if kind in (1, 2) else parts + piece
        if kind in (1, 4) and piece:
            yield parts


STORED: dict[str, Callable[[Path], set[int]]] = {
    "ours": ours,
    "drytorch": drytorch,
    "tensorboard": tensorboard,
    "trackio": trackio,
    "wandb": wandb,
    "mlflow": mlflow,
}
