"""Every bound that both ends of a connection must agree on."""

from __future__ import annotations

from typing import Final

#: Protocol version of control messages and uplink frames. A broker refuses a newer one.
PROTOCOL_VERSION: Final = 1
#: Version of the events' schema, in every envelope.
SCHEMA_VERSION: Final = 1
#: Version of the journal's and the spool's file format. A reader refuses a newer one.
FORMAT_VERSION: Final = 1

#: Largest encoded envelope, bytes. A larger event is refused in `emit`.
MAX_EVENT_BYTES: Final = 1 << 20
#: Most bytes of envelopes in one uplink batch.
MAX_BATCH_BYTES: Final = 2 << 20
#: Most envelopes in one uplink batch.
MAX_BATCH_EVENTS: Final = 2000
#: Largest message on any socket, bytes: a batch and its header, or an answer to a fetch.
MAX_MESSAGE_BYTES: Final = 8 << 20
#: Deepest nesting of maps and arrays in an envelope.
MAX_DEPTH: Final = 32
#: Longest name of an experiment, run, source, model or metric, characters.
MAX_NAME_LENGTH: Final = 10_000
#: Most metrics in one MetricEvent.
MAX_METRICS: Final = 10_000
#: Default and largest size of an answer to a fetch, bytes.
MAX_FETCH_BYTES: Final = 4 << 20
#: Most records in an answer to a fetch.
MAX_FETCH_RECORDS: Final = 10_000
#: Largest payload of one record in a journal segment or a spool file, bytes: the body of one batch.
MAX_RECORD_BYTES: Final = MAX_BATCH_BYTES + MAX_EVENT_BYTES
#: Sequence numbers and offsets stay below this.
MAX_SEQUENCE: Final = 1 << 63
#: Longest id of a producer, characters.
MAX_PRODUCER_LENGTH: Final = 64
#: Longest name of a worker, characters.
MAX_ID_LENGTH: Final = 255
#: Most items in one array or map of an envelope or message.
MAX_ITEMS: Final = 1 << 17
#: Most filters in one request.
MAX_FILTERS: Final = 64
#: Bounds of a producer's secret, bytes.
MIN_TOKEN_BYTES: Final = 8
MAX_TOKEN_BYTES: Final = 64
