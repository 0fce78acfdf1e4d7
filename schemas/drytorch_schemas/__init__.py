"""Events, envelopes, topics, wire frames and the journal's records: bytes, no sockets."""
