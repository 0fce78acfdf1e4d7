"""Running a broker in this process, or in one of its own."""

from __future__ import annotations

import contextlib
from pathlib import Path

from drytorch_broker import detach, exit_codes, log_lines, place
from drytorch_broker.config import BrokerConfig
from drytorch_broker.errors import BrokerError


def foreground(config: BrokerConfig) -> None:
    """Run a broker until it is told to stop.

    Args:
        config: its options.

    Raises:
        BrokerError: it cannot start.
    """
    ready = _Ready(config.ready_descriptor)
    try:
        if config.log_file is not None:
            place.prepare(config.journal)
        _set_up_logs(config.log_file, as_json=config.json_logs)
        from drytorch_broker import server

        server.serve(config, ready.ready)
    except BrokerError as error:
        ready.failed(str(error), error.exit_code)
        raise
    except BaseException as error:
        ready.failed(f"{type(error).__name__}: {error}", exit_codes.SOFTWARE)
        raise


def _set_up_logs(log_file: Path | None, *, as_json: bool) -> None:
    try:
        log_lines.set_up(log_file, as_json=as_json)
    except OSError as error:
        raise place.refusal(Path(error.filename or "."), error) from error


class _Ready:
    """Says once, on a pipe or on stdout, that the broker is ready, or why it is not."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def ready(self, line: str) -> None:
        """Say that the broker is ready."""
        if self._descriptor is None:
            with contextlib.suppress(OSError):  # nobody reads
                print(line, flush=True)  # noqa: T201  # the one line that `start` promises
        else:
            self._say(0, line)

    def failed(self, text: str, code: int) -> None:
        """Say why the broker does not start."""
        if self._descriptor is not None:
            self._say(code, text)

    def _say(self, code: int, text: str) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                detach.report(descriptor, code, text)


def detached(config: BrokerConfig) -> str:
    """Start a broker in a process of its own, and return the line that says where it is.

    Args:
        config: its options.

    Raises:
        StartError: it could not start.
    """
    return detach.start(
        [
            f"--journal={config.journal}",
            f"--fsync={config.fsync}",
            f"--idle-exit={config.idle_exit}",
            f"--log-format={'json' if config.json_logs else 'text'}",
            f"--max-bytes={config.max_bytes}",
            f"--max-age={config.max_age_days}",
            f"--keep-bytes={config.keep_bytes}",
            f"--segment-bytes={config.segment_bytes}",
            *([f"--listen={config.listen}"] if config.listen is not None else []),
            *(["--insecure"] if config.insecure else []),
        ]
    )
