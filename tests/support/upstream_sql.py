"""Feed events to DRYTorch's own SQLConnection: `python upstream_sql.py SPEC`.

The specification is JSON: by database file, a list of runs as in `upstream.py`. A tracker that
raises is dropped for the rest of its run, as DRYTorch does; all errors are printed.
"""

import json
import pathlib
import sys
import warnings

warnings.simplefilter("ignore")

import sqlalchemy  # noqa: E402 - not before the warnings are off
from drytorch.core import log_events  # noqa: E402 - as above
from drytorch.trackers.sqlalchemy import SQLConnection  # noqa: E402 - as above

from upstream import make  # noqa: E402 - as above

if __name__ == "__main__":
    log_events.Event.set_auto_publish(lambda _: None)
    for file, runs in json.loads(pathlib.Path(sys.argv[1]).read_text()).items():
        for run in runs:
            tracker = SQLConnection(sqlalchemy.create_engine(f"sqlite:///{file}"))
            try:
                for name, fields in run:
                    if name != "BatchProgressEvent":
                        tracker.notify(make(name, fields))
            except Exception as error:  # noqa: BLE001 - whatever it is, DRYTorch goes on without
                print(f"{pathlib.Path(file).name}: {type(error).__name__}")  # noqa: T201 - its answer
            tracker.clean_up()
