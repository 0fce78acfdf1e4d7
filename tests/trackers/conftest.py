"""A host of its own for each test of workers and commands."""

from own_host import broker, host, producer_of, workers

__all__ = ["broker", "host", "producer_of", "workers"]
