"""Answers to workers who ask for records: from an offset on, and the context of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drytorch_broker.log import Log, TopicKey
from drytorch_broker.runs import RunInfo, Runs
from drytorch_schemas.control import Fetch, FetchContext, Filter
from drytorch_schemas.limits import MAX_FETCH_BYTES, MAX_FETCH_RECORDS
from drytorch_schemas.packing import pack
from drytorch_schemas.topics import TopicFilter, matches_any

_MAX_REMEMBERED: Final = 100_000


class Matcher:
    """Tells whether a topic is wanted, and remembers it: globs are slow, topics are few."""

    def __init__(self, filters: Sequence[TopicFilter]) -> None:
        """Initialize.

        Args:
            filters: any of them is enough.
        """
        self._filters = filters
        self._known: dict[TopicKey, bool] = {}

    def __call__(self, topic: TopicKey) -> bool:
        """Tell whether a topic is wanted."""
        known = self._known.get(topic)
        if known is None:
            if len(self._known) > _MAX_REMEMBERED:
                self._known.clear()
            known = self._known[topic] = matches_any(self._filters, *topic)
        return known


class History:
    """Serves records of a log.

    Attributes:
        kept: envelopes that retention keeps beyond their segments, by offset.
    """

    def __init__(self, log: Log, runs: Runs) -> None:
        """Initialize.

        Args:
            log: where records lie.
            runs: where the context of each run lies.
        """
        self._log = log
        self._runs = runs
        self._matchers: dict[tuple[TopicFilter, ...], Matcher] = {}
        self.kept: dict[int, bytes] = {}

    def fetch(self, message: Fetch) -> bytes:
        """Return the encoded answer to a fetch.

        Args:
            message: what is wanted.

        Raises:
            OSError: the journal cannot be read.
        """
        end = message.end or self._log.durable
        found = self._log.read(
            message.start,
            end,
            self._matcher(message.filters),
            message.max_bytes,
            message.max_records,
        )
        return self._answer(message.id, found.records, max(found.covered_to, message.start))

    def context(self, message: FetchContext) -> bytes:
        """Return the encoded start and registrations of runs.

        Args:
            message: which runs, as of which offset.

        Raises:
            OSError: the journal cannot be read.
        """
        filters = [each.unwired() for each in message.filters]
        offsets = sorted(
            offset
            for info in self._runs.by_uuid.values()
            if _is_wanted(info, filters) and not (message.open_only and _ended(info, message))
            for offset in info.context
            if offset < message.before
        )
        records: list[tuple[int, bytes]] = []
        room = MAX_FETCH_BYTES
        for offset in offsets[:MAX_FETCH_RECORDS]:
            payload = self._envelope(offset)
            if payload is None:
                continue
            room -= len(payload)
            if records and room < 0:
                return self._answer(message.id, records, offset)
            records.append((offset, payload))
        return self._answer(message.id, records, message.before)

    def _envelope(self, offset: int) -> bytes | None:
        if offset < self._log.start:
            return self.kept.get(offset)
        found = self._log.read(offset, offset + 1, None, 1, 1).records
        return found[0][1] if found else None

    def keep_context(self, before: int) -> None:
        """Take the context of runs that go on behind an offset out of what is removed now.

        Args:
            before: everything before this offset is about to go.

        Raises:
            OSError: the journal cannot be read.
        """
        alive = [
            info
            for info in self._runs.by_uuid.values()
            if info.last_offset >= before or not info.over
        ]
        needed = sorted({o for info in alive for o in info.context if o < before})
        found = {offset: self._envelope(offset) for offset in needed}
        self.kept = {offset: payload for offset, payload in found.items() if payload is not None}

    def _matcher(self, filters: list[Filter]) -> Matcher:
        key = tuple(each.unwired() for each in filters)
        matcher = self._matchers.get(key)
        if matcher is None:
            if len(self._matchers) >= 256:  # noqa: PLR2004  # more than workers at a time
                self._matchers.clear()
            matcher = self._matchers[key] = Matcher(key)
        return matcher

    def _answer(self, message_id: int, records: list[tuple[int, bytes]], covered_to: int) -> bytes:
        # The same map as `control.Records`, without a model around ten thousand records.
        return pack(
            {
                "type": "records",
                "id": message_id,
                "journal": self._log.journal_id,
                "records": records,
                "covered_to": covered_to,
                "head": self._log.durable,
                "start": self._log.start,
            }
        )


def _is_wanted(info: RunInfo, filters: Sequence[TopicFilter]) -> bool:
    return any(each.matches_run(info.experiment, info.run_id, info.run) for each in filters)


def _ended(info: RunInfo, message: FetchContext) -> bool:
    return info.ended is not None and info.ended < message.before
