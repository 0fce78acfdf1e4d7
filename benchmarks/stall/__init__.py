"""What a training loop feels when its logger's helper is killed, frozen, slow, or out of disk."""
