"""Sealed files in an S3 bucket (or MinIO's): whole or not there, and gone with every version when they are deleted.

django-storages keeps the connection (one a thread, its usual ``AWS_…`` credentials); what it would do with files, such
as spooling and overwriting, is not used. Only ciphertext ever comes here.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from foundation.errors import VouchError
from foundation.vault.errors import ObjectMissing, StorageDown, StorageFull, StorageMisconfigured
from foundation.vault.lifecycle import problems
from foundation.vault.storage import READ_SIZE, Listed, Probe, Written, checked

PART = 8 * 1024 * 1024
"""Bytes of ciphertext in one part of a multipart upload (S3 wants 5 MiB); what is shorter goes in one piece."""

ATTEMPTS, CONNECT_SECONDS, READ_SECONDS = 4, 5, 30

_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage"}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_BUSY = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "ServiceUnavailable",
}


class BucketStorage:
    """The sealed files under ``prefix`` of a bucket."""

    def __init__(self, *, bucket: str, prefix: str = "", endpoint: str = "", attempts: int = ATTEMPTS) -> None:
        retries: Any = {"total_max_attempts": attempts, "mode": "standard"}
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries=retries,
            # The seal finds every changed bit; the newer checksums are not known to every MinIO.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self._backend = S3Storage(bucket_name=bucket, endpoint_url=endpoint or None, client_config=config)
        self.bucket, self.prefix = bucket, prefix

    def write(self, location: str, pieces: Iterable[bytes]) -> Written:
        """Writes a new object. If anything fails, uploads are aborted and nothing is left behind.

        Raises StorageFull, StorageDown, StorageMisconfigured, and what ``pieces`` raises.
        """
        key = self._key(location)
        counted = _Hashed(pieces)
        parts = _regrouped(counted, PART)
        try:
            first = next(parts)
            second = next(parts, None)
            if second is None:
                self._ask("put_object", Key=key, Body=first)
            else:
                self._write_parts(key, first, second, parts)
        except BaseException:
            # An answer that was lost may hide an object that is there. If this fails too, the bucket's own rules do it.
            with suppress(VouchError):
                self.delete(location)
            raise
        return Written(size=counted.size, sha256=counted.hash.hexdigest())

    def read(self, location: str) -> Iterator[bytes]:
        """The object's bytes in pieces. It is opened at the call. Raises ObjectMissing, StorageDown."""
        body = self._ask("get_object", Key=self._key(location))["Body"]
        return _pieces(body)

    def delete(self, location: str) -> None:
        """Removes every version, delete marker and unfinished upload of the object. Raises StorageDown."""
        key = self._key(location)
        for upload in self._uploads(key):
            with suppress(ObjectMissing):
                self._ask("abort_multipart_upload", Key=key, UploadId=upload)
        for version, _ in self._versions(key):
            self._ask("delete_object", Key=key, VersionId=version)

    def probe(self, location: str) -> Probe:
        """What lies there now: a 404 or not, and every version or unfinished upload. Raises StorageDown."""
        key = self._key(location)
        try:
            self._ask("head_object", Key=key)
            present = True
        except ObjectMissing:
            present = False
        bodies = [version for version, marker in self._versions(key) if not marker]
        return Probe(present=present, versions=len(bodies) + len(self._uploads(key)))

    def exists(self, location: str) -> bool:
        return self.probe(location).present

    def listed(self) -> Iterator[Listed]:
        """Every name under the prefix that has a version or an unfinished upload, with the latest of these.

        Raises StorageDown.
        """
        seen: dict[str, datetime] = {}
        for operation, kind, time in (
            ("list_object_versions", "Versions", "LastModified"), ("list_multipart_uploads", "Uploads", "Initiated"),
        ):  # fmt: skip
            for page in self._pages(operation, Prefix=self.prefix):
                for found in page.get(kind, []):
                    seen[found["Key"]] = max(found[time], seen.get(found["Key"], found[time]))
        for key, changed in sorted(seen.items()):
            yield Listed(key.removeprefix(self.prefix), changed)

    def head(self, name: str, size: int) -> bytes:
        """The first ``size`` bytes of a listed object. Raises ObjectMissing, StorageDown."""
        try:
            found = self._ask("get_object", Key=f"{self.prefix}{name}", Range=f"bytes=0-{size - 1}")
        except StorageMisconfigured as error:
            if error.extra.get("answer") == "InvalidRange":  # an empty object has no first byte
                return b""
            raise
        return b"".join(_pieces(found["Body"]))[:size]

    def check(self) -> None:
        """Whether the bucket is there and its rules fit (``lifecycle``). Raises StorageMisconfigured, StorageDown."""
        try:
            self._ask("head_bucket")
        except ObjectMissing:
            raise StorageMisconfigured(f"There is no bucket {self.bucket}.") from None
        found = problems(
            prefix=self.prefix,
            rules=self._optional("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration").get("Rules", []),
            versioned=bool(self._ask("get_bucket_versioning").get("Status")),
            replicated=bool(self._optional("get_bucket_replication", "ReplicationConfigurationNotFoundError")),
            locked=bool(self._optional("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError")),
        )
        if found:
            raise StorageMisconfigured(f"The bucket {self.bucket}: {' '.join(found)}", problems=found)

    def _write_parts(self, key: str, first: bytes, second: bytes, rest: Iterator[bytes]) -> None:
        upload = self._ask("create_multipart_upload", Key=key)["UploadId"]
        done: list[dict[str, Any]] = []

        def send(part: bytes) -> None:
            number = len(done) + 1
            answer = self._ask("upload_part", Key=key, UploadId=upload, PartNumber=number, Body=part)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})

        send(first)
        send(second)
        for part in rest:
            send(part)
        self._ask("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload={"Parts": done})

    def _versions(self, key: str) -> list[tuple[str, bool]]:
        """Version ids, and whether each is only a delete marker."""
        return [
            (found["VersionId"], kind == "DeleteMarkers")
            for page in self._pages("list_object_versions", Prefix=key)
            for kind in ("Versions", "DeleteMarkers")
            for found in page.get(kind, [])
            if found["Key"] == key
        ]

    def _uploads(self, key: str) -> list[str]:
        pages = self._pages("list_multipart_uploads", Prefix=key)
        return [found["UploadId"] for page in pages for found in page.get("Uploads", []) if found["Key"] == key]

    def _pages(self, operation: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        pages = iter(self._client.get_paginator(operation).paginate(Bucket=self.bucket, **arguments))
        while (page := _named(next, pages, None)) is not None:
            yield page

    def _optional(self, operation: str, absent: str) -> dict[str, Any]:
        """What a bucket has of a configuration, or nothing."""
        try:
            return dict(self._ask(operation))
        except StorageMisconfigured as error:
            if error.extra.get("answer") == absent:
                return {}
            raise

    def _ask(self, operation: str, **arguments: Any) -> Any:
        return _named(getattr(self._client, operation), Bucket=self.bucket, **arguments)

    @property
    def _client(self) -> Any:
        return _named(lambda: self._backend.connection.meta.client)

    def _key(self, location: str) -> str:
        return f"{self.prefix}{checked(location)}"


@lru_cache(maxsize=4)
def checked_bucket(bucket: str, prefix: str, endpoint: str) -> BucketStorage:
    """The storage of a bucket whose rules were looked at: once a process, at its first use. Raises as ``check``."""
    made = BucketStorage(bucket=bucket, prefix=prefix, endpoint=endpoint)
    made.check()
    return made


class _Hashed:
    """Passes pieces on, counts and hashes them."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.size, self.hash = 0, hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            self.hash.update(piece)
            yield piece


def _regrouped(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in parts of ``size``, the last one shorter; at least one part, which may be empty."""
    waiting = bytearray()
    sent = False
    for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
            sent = True
    if waiting or not sent:
        yield bytes(waiting)


def _pieces(body: Any) -> Iterator[bytes]:
    try:
        while piece := _named(body.read, READ_SIZE):
            yield piece
    finally:
        body.close()


def _named(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Calls, and gives every failure of S3 its name here."""
    try:
        return call(*arguments, **named)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _MISSING:
            raise ObjectMissing from error
        if code in _FULL or status == 507:
            raise StorageFull(f"S3: {code}.") from error
        if code in _BUSY or status >= 500:
            raise StorageDown(f"S3: {code}.") from error
        raise StorageMisconfigured(f"S3: {code}.", answer=code) from error
    except BotoCoreError as error:
        raise StorageDown(f"S3: {error}") from error
