"""Secrets in configurations: found by their key, never sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

HIDDEN: Final = "***"
#: Words that make a key a secret's. Change it in place before the first experiment is made.
SECRET_WORDS: set[str] = {
    "api_key",
    "apikey",
    "credential",
    "credentials",
    "passwd",
    "password",
    "secret",
    "token",
}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_FIELD: Final = re.compile(
    r"""(?P<key>\w+)(?P<between>['"]?\s*[=:]\s*)(?P<value>'[^']*'|"[^"]*"|[^\s,;()\[\]{}'"]+)"""
)
_URL_PASSWORD: Final = re.compile(
    r"(?P<user>\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@", re.IGNORECASE
)


def is_secret(key: str, value: Any, words: Iterable[str] | None = None) -> bool:
    """Tell whether a key looks like a secret's, word by word: `hf_token`, but not `max_tokens`.

    A number is one only where the key ends with the secret's word: `token_dim` counts something.

    Args:
        key: the key.
        value: its value.
        words: the words to look for; `SECRET_WORDS` by default.
    """
    if value is None or isinstance(value, bool):
        return False
    spelled = f"_{'_'.join(_WORD.findall(key)).lower()}_"
    for word in SECRET_WORDS if words is None else words:
        wanted = f"_{word.lower()}_"
        if spelled.endswith(wanted) if isinstance(value, (int, float)) else wanted in spelled:
            return True
    return False


def hide_url_password(text: str) -> str:
    """Return a text with the passwords of URLs in it hidden."""
    return _URL_PASSWORD.sub(rf"\g<user>:{HIDDEN}@", text) if "://" in text else text


def hide_in_repr(text: str) -> str:
    """Return an object's repr with the fields hidden whose name looks like a secret's.

    Args:
        text: for example `Database(user='me', password='x')`.
    """

    def hide(match: re.Match[str]) -> str:
        hidden = is_secret(match["key"], match["value"])
        return match["key"] + match["between"] + (HIDDEN if hidden else match["value"])

    return _FIELD.sub(hide, text)
