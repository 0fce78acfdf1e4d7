"""The journal in files: segments, their indexes, recovery after any death."""
