"""How large a pass over a loader is, where the loader knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LoaderSizes:
    """What is known about a loader.

    Attributes:
        batch_size: samples in a batch, None where unknown.
        n_iter: batches in a pass, None where unknown.
        dataset_size: samples in the data set, None where unknown.
    """

    batch_size: int | None
    n_iter: int | None
    dataset_size: int | None

    def samples(self, batches: int) -> int | None:
        """Return how many samples so many batches hold; None where unknown.

        Args:
            batches: batches done.
        """
        if self.batch_size is None:
            return None
        seen = batches * self.batch_size
        return seen if self.dataset_size is None else min(seen, self.dataset_size)


def sizes_of(loader: Any) -> LoaderSizes:
    """Return what a loader says about its sizes: a DataLoader, a list, or any iterable.

    Args:
        loader: whatever a training iterates over.
    """
    batch_size = getattr(loader, "batch_size", None)
    return LoaderSizes(
        batch_size=batch_size if type(batch_size) is int else None,
        n_iter=_length(loader),
        dataset_size=_length(getattr(loader, "dataset", None)),
    )


def _length(sized: Any) -> int | None:
    try:
        return len(sized)
    except Exception:  # noqa: BLE001 - no length; a data set of the user's may also raise its own
        return None
