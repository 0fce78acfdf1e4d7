"""Whether this process runs the cells of a notebook, as tqdm tells it."""

from __future__ import annotations

import importlib.util
import sys


def has_widgets() -> bool:
    """Tell whether this is a notebook's kernel with `ipywidgets`.

    There a bar of tqdm is a widget, and DRYTorch does not draw one that would vanish.
    """
    try:
        shell = sys.modules["IPython"].get_ipython()
        in_kernel = "IPKernelApp" in shell.config
        return in_kernel and importlib.util.find_spec("ipywidgets") is not None
    except Exception:  # noqa: BLE001 - no IPython, a plain one, or one of another shape
        return False
