"""Trackers, and the workers that feed them."""
