"""The daemon that journals events and passes them on to workers."""
