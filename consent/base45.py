"""Base45 (RFC 9285): bytes in the alphabet a QR code stores densest. Pure."""

from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE: Final = {character: value for value, character in enumerate(_ALPHABET)}


class NotBase45(ValueError):
    """The text is no base45."""


def encode(data: bytes) -> str:
    """Three characters for two bytes, two for a last single one."""
    found = []
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, 45)
            found.append(_ALPHABET[digit])
    return "".join(found)


def decode(text: str) -> bytes:
    """The reverse of ``encode``. Raises NotBase45 for anything it could not have written."""
    found = bytearray()
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        try:
            number = sum(_VALUE[character] * 45**place for place, character in enumerate(group))
            found += number.to_bytes(len(group) - 1, "big")
        except (KeyError, OverflowError) as error:
            raise NotBase45("not base45") from error
        if len(group) == 1:
            raise NotBase45("base45 has no groups of one")
    return bytes(found)
