"""Tensors, arrays and data frames as short text, without importing their libraries."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from drytorch_client.markers import literal


def describe(obj: Any, keep: int) -> dict[str, str] | None:
    """Return the literal text of a tensor, an array or a data frame.

    Args:
        obj: any object.
        keep: most elements that are shown.

    Returns:
        The text as a mark; None for any other object.
    """
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if _is_a(obj, torch, "Tensor"):
        return literal(_tensor(obj, torch, keep))
    if _is_a(obj, numpy, "ndarray"):
        return literal(_array(obj, numpy, keep))
    if _is_a(obj, sys.modules.get("pandas.core.generic"), "NDFrame"):
        return literal(_frame(obj, keep))
    return None


def _is_a(obj: Any, module: Any, name: str) -> bool:
    # a module that is just being imported has no such class yet
    cls = getattr(module, name, None)
    return cls is not None and isinstance(obj, cls)


def _tensor(obj: Any, torch: Any, keep: int) -> str:
    head = f"Tensor of size {tuple(obj.shape)}, dtype={obj.dtype}\n"
    with _torch_options(torch, keep):
        return head + repr(obj)


@contextlib.contextmanager
def _torch_options(torch: Any, keep: int) -> Iterator[None]:
    """Set torch's print options for a while; it keeps them in one place for the whole process."""
    before = dict(torch._tensor_str.get_printoptions())  # noqa: SLF001 - torch has no public reader
    edge = max(keep // 4, 1)
    torch.set_printoptions(precision=3, threshold=keep, edgeitems=edge, sci_mode=False)
    try:
        yield
    finally:
        torch.set_printoptions(**before)


def _array(obj: Any, numpy: Any, keep: int) -> str:
    factor = 2 ** (obj.ndim - 1)
    options = {
        "precision": 3,
        "suppress": True,
        "threshold": keep // factor,
        "edgeitems": keep // (factor * 2),
    }
    with numpy.printoptions(**options):
        return f"Array of size {obj.shape}\n{obj}"


def _frame(obj: Any, keep: int) -> str:
    options = ("display.precision", 3, "display.max_rows", keep, "display.max_columns", keep)
    with sys.modules["pandas"].option_context(*options):
        return str(obj)
