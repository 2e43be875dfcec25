"""The bucket: the same behaviour as a folder, nothing left of what failed, every version gone."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from foundation import clock
from foundation.identity.actors import Actor
from foundation.vault import erasing, lifecycle, s3, services, storage
from foundation.vault.errors import ObjectMissing, StorageDown, StorageFull, StorageMisconfigured, Tampered, VaultMisuse
from foundation.vault.s3 import PART, BucketStorage
from foundation.vault.storage import Probe, location_of

BUCKET = "sealed"
ACTOR = Actor.system("test")
_broken: list[tuple[str, Any]] = []
BIG = [bytes([n]) * (1024 * 1024) for n in range(20)]


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with mock_aws():
            yield


@pytest.fixture(scope="module")
def shared(aws: None) -> BucketStorage:
    """One client for all tests: making one takes a second."""
    return BucketStorage(bucket=BUCKET, prefix="vouch/", attempts=2)


@pytest.fixture(params=[False, True], ids=["plain", "versioned"])
def store(request: pytest.FixtureRequest, shared: BucketStorage) -> Iterator[BucketStorage]:
    client = shared._client
    client.create_bucket(Bucket=BUCKET)
    if request.param:
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.checked_bucket.cache_clear()
    yield shared
    s3.checked_bucket.cache_clear()
    while _broken:
        client.meta.events.unregister(*_broken.pop())
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    found = client.list_object_versions(Bucket=BUCKET)
    for each in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
        client.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])
    client.delete_bucket(Bucket=BUCKET)


def left(store: BucketStorage) -> list[Any]:
    """Everything the bucket holds: versions, markers, unfinished uploads."""
    client = store._client
    found = client.list_object_versions(Bucket=BUCKET)
    uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return [*found.get("Versions", []), *found.get("DeleteMarkers", []), *uploads]


def break_at(store: BucketStorage, event: str, handler: Any) -> None:
    store._client.meta.events.register_first(event, handler)
    _broken.append((event, handler))


def answer_from(store: BucketStorage, operation: str, status: int, code: str) -> list[str]:
    asked: list[str] = []

    class Raw:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    def refuse(request: Any, **_: Any) -> AWSResponse:
        asked.append(operation)
        return AWSResponse(request.url, status, {}, Raw())

    break_at(store, f"before-send.s3.{operation}", refuse)
    return asked


@pytest.mark.parametrize("pieces", [[], [b""], [b"one", b"two"], BIG, [bytes(PART)], [bytes(PART), b"x"]], ids=range(6))
def test_an_object_comes_back(store: BucketStorage, pieces: list[bytes]) -> None:
    location = location_of(uuid4())
    written = store.write(location, pieces)
    assert b"".join(store.read(location)) == b"".join(pieces)
    assert written.size == sum(map(len, pieces))
    assert store.probe(location) == Probe(present=True, versions=1)
    assert [(one.name, one.changed.tzinfo is not None) for one in store.listed()] == [(location, True)]
    assert store.head(location, 3) == b"".join(pieces)[:3]


@pytest.mark.parametrize("before", [[], BIG], ids=["at once", "after two parts"])
def test_a_stream_that_breaks_leaves_nothing(store: BucketStorage, before: list[bytes]) -> None:
    def breaking() -> Iterator[bytes]:
        yield from before
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.write(location_of(uuid4()), breaking())
    assert left(store) == []


@pytest.mark.parametrize(
    ("operation", "status", "code", "error"),
    [
        ("PutObject", 507, "XMinioStorageFull", StorageFull),
        ("PutObject", 503, "SlowDown", StorageDown),
        ("PutObject", 403, "AccessDenied", StorageMisconfigured),
        ("UploadPart", 507, "XMinioStorageFull", StorageFull),
        ("UploadPart", 500, "InternalError", StorageDown),
        ("CompleteMultipartUpload", 503, "ServiceUnavailable", StorageDown),
    ],
)
def test_a_bucket_that_is_full_or_down_is_named_and_keeps_nothing(
    store: BucketStorage, operation: str, status: int, code: str, error: type[Exception]
) -> None:
    asked = answer_from(store, operation, status, code)
    with pytest.raises(error, match=code):
        store.write(location_of(uuid4()), [b"small"] if operation == "PutObject" else BIG)
    assert len(asked) == (1 if status in {403, 507} else 2)
    assert left(store) == []


def test_a_bucket_that_is_not_there_is_down(store: BucketStorage) -> None:
    location = location_of(uuid4())

    def unplugged(request: Any, **_: Any) -> None:
        raise EndpointConnectionError(endpoint_url=request.url)

    break_at(store, "before-send.s3.*", unplugged)
    for act in (lambda: store.write(location, [b"x"]), lambda: store.read(location), lambda: store.probe(location)):
        with pytest.raises(StorageDown):
            act()


def test_deleting_takes_every_version_and_marker_and_upload(store: BucketStorage) -> None:
    location, other = location_of(uuid4()), location_of(uuid4())
    for data in (b"one", b"two"):
        store.write(location, [data])
    store.write(other, [b"stays"])
    client, key = store._client, f"vouch/{location}"
    client.delete_object(Bucket=BUCKET, Key=key)  # as somebody might: in a versioned bucket this only hides
    client.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert store.probe(location).versions > 0
    store.delete(location)
    store.delete(location)
    assert store.probe(location) == Probe(present=False, versions=0)
    assert [found["Key"] for found in left(store)] == [f"vouch/{other}"]
    with pytest.raises(ObjectMissing):
        store.read(location)


@pytest.mark.parametrize("location", ["../x", "", "brief/../x", "ab/" + "g" * 32 + ".sealed"])
def test_only_our_own_names_reach_the_bucket(store: BucketStorage, location: str) -> None:
    for act in (store.read, store.delete, store.probe, lambda name: store.write(name, [b"x"])):
        with pytest.raises(VaultMisuse):
            act(location)


def test_the_bucket_is_looked_at_before_its_first_use(store: BucketStorage, settings: Any) -> None:
    settings.VOUCH_S3_BUCKET, settings.VOUCH_S3_PREFIX = BUCKET, "vouch/"
    with pytest.raises(StorageMisconfigured, match="vouch/brief/"):
        storage.current()
    store._client.put_bucket_lifecycle_configuration(
        Bucket=BUCKET, LifecycleConfiguration=lifecycle.recommended("vouch/")
    )
    assert isinstance(storage.current(), BucketStorage)
    settings.VOUCH_S3_BUCKET = "another"
    with pytest.raises(StorageMisconfigured, match="no bucket"):
        storage.current()


@pytest.mark.django_db
def test_the_vault_works_with_a_bucket_as_with_a_folder(store: BucketStorage, settings: Any) -> None:
    settings.VOUCH_S3_BUCKET, settings.VOUCH_S3_PREFIX = BUCKET, "vouch/"
    store._client.put_bucket_lifecycle_configuration(
        Bucket=BUCKET, LifecycleConfiguration=lifecycle.recommended("vouch/")
    )
    key = services.create_key(kind="training", owner_ref="person:1", actor=ACTOR)
    fine: dict[str, Any] = {"key": key, "kind": "audio", "owner_ref": "p", "actor": ACTOR}
    brief = services.store(data=b"raw", not_after=clock.now() + timedelta(hours=72), **fine)
    assert brief.location.startswith("brief/")
    sealed = services.store(data=iter(BIG), not_after=None, **fine)
    assert not sealed.location.startswith("brief/")
    assert services.read(sealed_object=sealed, actor=ACTOR) == b"".join(BIG)
    where = f"vouch/{sealed.location}"
    data = store._client.get_object(Bucket=BUCKET, Key=where)["Body"].read()
    store._client.put_object(Bucket=BUCKET, Key=where, Body=data[:-1])
    with pytest.raises(Tampered):
        services.read(sealed_object=sealed, actor=ACTOR)
    services.destroy_key(key=key, reason="test", actor=ACTOR)
    assert erasing.finish() == (1, 2)
    assert left(store) == []
