"""A host of its own for each test of faults."""

from own_host import broker, host, producer_of, workers

__all__ = ["broker", "host", "producer_of", "workers"]
