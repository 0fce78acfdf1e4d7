"""The base class of control messages and the types of their fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from drytorch_schemas.limits import (
    MAX_ID_LENGTH,
    MAX_PRODUCER_LENGTH,
    MAX_SEQUENCE,
    MAX_TOKEN_BYTES,
    MIN_TOKEN_BYTES,
)

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
Producer = Annotated[str, Field(min_length=1, max_length=MAX_PRODUCER_LENGTH)]
Sequence = Annotated[int, Field(ge=0, lt=MAX_SEQUENCE)]
Token = Annotated[bytes, Field(min_length=MIN_TOKEN_BYTES, max_length=MAX_TOKEN_BYTES)]


class Message(BaseModel):
    """Base class of control messages.

    Attributes:
        id: number that the asker gave; the answer repeats it; 0 where no answer is awaited.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")
    type: str
    id: int = 0
