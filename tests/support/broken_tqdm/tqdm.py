"""Stands before the real tqdm and cannot be imported: DRYTorch then does without."""

raise ImportError("tqdm is broken on purpose")
