"""Text that would be too long for an event: cut in its middle, and marked where it is cut."""

from __future__ import annotations

from typing import Final

#: Most bytes of a model's representation; an event takes 1 MiB in all.
MAX_ARCHITECTURE: Final = 768 << 10


def without_middle(text: str, limit: int) -> str:
    """Return a text of at most so many bytes: its first and its last lines, the latter fewer.

    Args:
        text: the text; what is no Unicode in it is spelled out.
        limit: most bytes, encoded.
    """
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    mark = f"\n... {len(data)} bytes in all, cut here to {limit} ...\n"
    room = limit - len(mark)
    head, tail = data[: room * 3 // 4], data[len(data) - room // 4 :]
    # whole lines, unless one line is most of it
    head = head[: head.rfind(b"\n", len(head) // 2)] if b"\n" in head[len(head) // 2 :] else head
    tail = tail[tail.find(b"\n") + 1 :] if b"\n" in tail[: len(tail) // 2] else tail
    return head.decode("utf-8", "ignore") + mark + tail.decode("utf-8", "ignore")
