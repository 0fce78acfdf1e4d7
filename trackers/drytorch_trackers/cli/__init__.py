"""The command `drytorch`, one file per subcommand."""

from drytorch_trackers.cli.app import main

__all__ = ["main"]
