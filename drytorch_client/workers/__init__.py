"""Local workers: what they are told, and how they are started, watched and relayed."""
