"""What `drytorch doctor` looks at. Nothing here starts, writes or removes anything."""

from drytorch_trackers.checkup.finding import Finding
from drytorch_trackers.checkup.host import look

__all__ = ["Finding", "look"]
