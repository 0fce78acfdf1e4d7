"""Trackers that misbehave, each in its own way."""
import sys
import time

from drytorch_trackers import Tracker


class Raising(Tracker):
    """Raise at every event."""

    def notify(self, event):
        raise RuntimeError("no")


class Sleeping(Tracker):
    """Sleep for an hour at the first metric."""

    def on_metric(self, event):
        time.sleep(3600)


class Leaving(Tracker):
    """Call sys.exit at every metric."""

    def on_metric(self, event):
        sys.exit(3)
