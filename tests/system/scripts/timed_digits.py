"""Run the digits example as it is, and measure each `emit` beside a bare sleep in the same loop."""
import json
import os
import runpy
import sys
import time

from drytorch_client.epoch import Reporter
from drytorch_client.sender import Sender

PAUSE = float(os.environ.get("PAUSE", "0.002"))
longest = slept = 0.0
emit, progress = Sender.emit, Reporter.progress


def timed_emit(self, *args, **kwargs):
    global longest
    start = time.perf_counter()
    try:
        return emit(self, *args, **kwargs)
    finally:
        longest = max(longest, time.perf_counter() - start)


def slow_progress(self, /, **metrics):
    global slept
    start = time.perf_counter()
    time.sleep(PAUSE)
    slept = max(slept, time.perf_counter() - start - PAUSE)
    return progress(self, **metrics)


Sender.emit, Reporter.progress = timed_emit, slow_progress
script = sys.argv.pop(1)
try:
    runpy.run_path(script, run_name="__main__")
finally:
    measured = {"longest": longest, "overslept": slept, "raised": 0}
    with open(os.environ["MEASURED"], "w") as file:
        json.dump(measured, file)
