"""Spools as dead producers leave them."""

from pathlib import Path

from drytorch_schemas import records, spool_files
from drytorch_schemas.folders import spool_dir
from drytorch_schemas.frames import array_of
from feeding import Run
from producing import TOKEN


def leave_a_spool(run: Run, payloads: list[bytes], *, journal: str = "", broker: str = "") -> Path:
    """Write the spool of a producer that is dead."""
    producer = run.origin.producer
    folder = spool_files.spool_folder(spool_dir(), producer)
    meta = spool_files.SpoolMeta(
        producer=producer, token=TOKEN, host="here", pid=1, journal=journal, broker=broker
    )
    spool_files.write_meta(folder, meta)
    spool_files.lock_path(folder).touch()
    header = records.Header(records.SPOOL, producer, 1, 5, 1)
    body = array_of(payloads)
    (folder / spool_files.segment_name(1)).write_bytes(
        records.encode_header(header) + records.encode_record(records.BATCH, 1, body, 5)
    )
    return folder
