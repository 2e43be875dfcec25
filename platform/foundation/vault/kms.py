"""The key ring in AWS KMS: the master key never leaves the service. Needs only Encrypt, Decrypt and DescribeKey.

``bound_to`` goes into the encryption context as its SHA-256, so KMS authenticates it and its trail names nobody.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from foundation.vault.envelope import KEY_SIZE, BrokenSeal
from foundation.vault.errors import KeyRingRefused, KeyRingUnavailable, WrongMasterKey
from foundation.vault.keyring import KMS, NAME_SIZE

ATTEMPTS = 5
"""How often one call is tried in all, with botocore's growing random pauses, before KeyRingUnavailable."""

CONNECT_SECONDS, READ_SECONDS = 3, 10

_BUSY = {
    "ThrottlingException", "Throttling", "RequestLimitExceeded", "LimitExceededException", "KMSInternalException",
    "DependencyTimeoutException", "KeyUnavailableException", "ServiceUnavailable", "InternalFailure",
}  # fmt: skip
"""Answers that another time may be different. Every other answer of the service is a refusal."""


class KmsKeyring:
    """Wraps under the first of ``keys`` (ids, ARNs or aliases), unwraps what any of them wrapped."""

    def __init__(self, client: Any, keys: Sequence[str]) -> None:
        self._client = client
        self._arns = {_name(arn): arn for arn in (self._arn(key) for key in keys)}
        self._now = next(iter(self._arns))

    def wrap(self, key: bytes, *, bound_to: bytes) -> bytes:
        head = KMS + self._now
        answer = _ask(
            self._client.encrypt,
            KeyId=self._arns[self._now],
            Plaintext=key,
            EncryptionContext=_context(head + bound_to),
        )
        return head + bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, *, bound_to: bytes) -> bytes:
        head, sealed = wrapped[: 1 + NAME_SIZE], wrapped[1 + NAME_SIZE :]
        arn = self._arns.get(head[1:]) if head[:1] == KMS else None
        if arn is None:
            raise WrongMasterKey
        answer = _ask(
            self._client.decrypt, KeyId=arn, CiphertextBlob=sealed, EncryptionContext=_context(head + bound_to)
        )
        if answer["KeyId"] != arn:
            raise WrongMasterKey
        if len(answer["Plaintext"]) != KEY_SIZE:
            raise BrokenSeal("the wrapped key has another size")
        return bytes(answer["Plaintext"])

    def is_current(self, wrapped: bytes) -> bool:
        return wrapped.startswith(KMS + self._now)

    def _arn(self, key: str) -> str:
        """Its ARN: an alias may be pointed at another key, and then must not pass for the former."""
        return str(_ask(self._client.describe_key, KeyId=key)["KeyMetadata"]["Arn"])


def configured() -> KmsKeyring:
    """The ring of ``VOUCH_KMS_KEY``, ``VOUCH_KMS_FORMER_KEYS`` and ``VOUCH_KMS_ENDPOINT``, one a process."""
    return configured_ring(settings.VOUCH_KMS_KEY, tuple(settings.VOUCH_KMS_FORMER_KEYS), settings.VOUCH_KMS_ENDPOINT)


@lru_cache(maxsize=4)
def configured_ring(key: str, former: tuple[str, ...], endpoint: str) -> KmsKeyring:
    return KmsKeyring(client(endpoint=endpoint), [key, *former])


def client(*, endpoint: str = "", attempts: int = ATTEMPTS) -> Any:
    """A KMS client; region and credentials as boto3 finds them (environment, profile, instance role)."""
    retries: Any = {"total_max_attempts": attempts, "mode": "standard"}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
    try:
        return boto3.client("kms", endpoint_url=endpoint or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise KeyRingRefused(str(error)) from error


def _ask(call: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return call(**arguments)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _BUSY or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise KeyRingUnavailable(f"KMS: {code}.") from error
        if code == "InvalidCiphertextException":
            raise BrokenSeal("the wrapped key does not open") from error
        if code == "IncorrectKeyException":
            raise WrongMasterKey from error
        raise KeyRingRefused(f"KMS: {code}.") from error
    except BotoCoreError as error:
        raise KeyRingUnavailable(f"KMS: {error}") from error


def _context(bound_to: bytes) -> dict[str, str]:
    return {"vouch": sha256(bound_to).hexdigest()}


def _name(arn: str) -> bytes:
    return sha256(b"vouch kms key name v1\n" + arn.encode()).digest()[:NAME_SIZE]
