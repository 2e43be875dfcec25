"""Local and KMS key rings: what opens, what is refused by name, and moving from one master to another."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from foundation.keys import KeyFiles
from foundation.vault import envelope, keyring, kms
from foundation.vault.errors import KeyRingRefused, KeyRingUnavailable, WrongMasterKey
from foundation.vault.keyring import LocalKeyring
from foundation.vault.kms import KmsKeyring

KEY, ONE, TWO = bytes(range(32)), b"1" * 32, b"2" * 32


def test_a_local_ring_wraps_under_the_newest_master_and_opens_under_both() -> None:
    old, both, new = LocalKeyring([ONE]), LocalKeyring([TWO, ONE]), LocalKeyring([TWO])
    before = old.wrap(KEY, bound_to=b"x")
    after = both.wrap(KEY, bound_to=b"x")
    assert both.unwrap(before, bound_to=b"x") == both.unwrap(after, bound_to=b"x") == KEY
    assert new.unwrap(after, bound_to=b"x") == KEY
    assert (both.is_current(before), both.is_current(after)) == (False, True)
    with pytest.raises(WrongMasterKey):
        new.unwrap(before, bound_to=b"x")
    with pytest.raises(envelope.BrokenSeal):
        old.unwrap(before, bound_to=b"y")


def test_every_bit_flip_of_a_locally_wrapped_key_is_found() -> None:
    ring = LocalKeyring([ONE])
    wrapped = ring.wrap(KEY, bound_to=b"x")
    for bit in range(len(wrapped) * 8):
        bent = bytearray(wrapped)
        bent[bit // 8] ^= 1 << bit % 8
        with pytest.raises((envelope.BrokenSeal, WrongMasterKey)):
            ring.unwrap(bytes(bent), bound_to=b"x")


def test_what_was_wrapped_before_masters_had_names_still_opens() -> None:
    ring = LocalKeyring([TWO, ONE])
    wrapped = envelope.wrap(ONE, KEY, bound_to=b"x")
    assert ring.unwrap(wrapped, bound_to=b"x") == KEY
    assert not ring.is_current(wrapped)
    with pytest.raises(envelope.BrokenSeal):
        LocalKeyring([TWO]).unwrap(wrapped, bound_to=b"x")


# -- KMS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    kms.configured_ring.cache_clear()
    with mock_aws():
        yield
    kms.configured_ring.cache_clear()


@pytest.fixture
def client(aws: None) -> Any:
    return kms.client(attempts=2)


def made(client: Any) -> str:
    return str(client.create_key()["KeyMetadata"]["Arn"])


def answers(client: Any, status: int, code: str) -> list[int]:
    """From now on the service answers so; the list counts what it was asked."""
    asked: list[int] = []

    class Raw:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield f'{{"__type": "{code}", "message": "no"}}'.encode()

    def refuse(request: Any, **_: Any) -> AWSResponse:
        asked.append(status)
        return AWSResponse(request.url, status, {"Content-Type": "application/x-amz-json-1.1"}, Raw())

    client.meta.events.register_first("before-send.kms.*", refuse)
    return asked


def test_kms_wraps_and_binds(client: Any) -> None:
    ring = KmsKeyring(client, [made(client)])
    wrapped = ring.wrap(KEY, bound_to=b"x")
    assert KEY not in wrapped
    assert ring.is_current(wrapped)
    assert ring.unwrap(wrapped, bound_to=b"x") == KEY
    with pytest.raises(envelope.BrokenSeal):
        ring.unwrap(wrapped, bound_to=b"y")
    with pytest.raises(envelope.BrokenSeal):
        ring.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), bound_to=b"x")


def test_another_kms_key_is_named_as_wrong(client: Any) -> None:
    mine, other = KmsKeyring(client, [made(client)]), KmsKeyring(client, [made(client)])
    wrapped = mine.wrap(KEY, bound_to=b"x")
    with pytest.raises(WrongMasterKey):
        other.unwrap(wrapped, bound_to=b"x")
    # Even relabelled as the other's: what KMS says about its key is compared.
    relabelled = other.wrap(KEY, bound_to=b"x")[:9] + wrapped[9:]
    with pytest.raises((WrongMasterKey, envelope.BrokenSeal)):
        other.unwrap(relabelled, bound_to=b"x")


def test_an_alias_that_points_elsewhere_is_not_the_former_key(client: Any) -> None:
    first, second = made(client), made(client)
    client.create_alias(AliasName="alias/vouch", TargetKeyId=first)
    wrapped = KmsKeyring(client, ["alias/vouch"]).wrap(KEY, bound_to=b"x")
    client.update_alias(AliasName="alias/vouch", TargetKeyId=second)
    with pytest.raises(WrongMasterKey):
        KmsKeyring(client, ["alias/vouch"]).unwrap(wrapped, bound_to=b"x")
    assert KmsKeyring(client, ["alias/vouch", first]).unwrap(wrapped, bound_to=b"x") == KEY


def test_a_throttled_kms_is_asked_a_few_times_and_then_named(client: Any) -> None:
    ring = KmsKeyring(client, [made(client)])
    asked = answers(client, 400, "ThrottlingException")
    with pytest.raises(KeyRingUnavailable, match="Throttling"):
        ring.wrap(KEY, bound_to=b"x")
    assert len(asked) == 2


@pytest.mark.parametrize("code", ["AccessDeniedException", "DisabledException", "KMSInvalidStateException"])
def test_a_kms_that_refuses_is_named_and_not_asked_again(client: Any, code: str) -> None:
    ring = KmsKeyring(client, [made(client)])
    asked = answers(client, 400, code)
    with pytest.raises(KeyRingRefused, match=code):
        ring.wrap(KEY, bound_to=b"x")
    assert len(asked) == 1


def test_a_key_that_does_not_exist_is_refused(client: Any) -> None:
    with pytest.raises(KeyRingRefused, match="NotFound"):
        KmsKeyring(client, ["arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"])


def test_a_kms_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with pytest.raises(KeyRingUnavailable, match="connect"):
        KmsKeyring(kms.client(endpoint="http://127.0.0.1:9", attempts=1), ["alias/vouch"])


def test_the_configured_ring_opens_what_the_local_one_wrapped(client: Any, settings: Any) -> None:
    wrapped = keyring.current().wrap(KEY, bound_to=b"x")
    settings.VOUCH_KMS_KEY = made(client)
    ring = keyring.current()
    assert ring.unwrap(wrapped, bound_to=b"x") == KEY
    assert not ring.is_current(wrapped)
    assert ring.unwrap(ring.wrap(KEY, bound_to=b"x"), bound_to=b"x") == KEY


def test_the_next_master_key_counts_from_the_moment_it_is_there(tmp_path: Any) -> None:
    files = KeyFiles(tmp_path / "keys")
    files.make_missing()
    old = files.secret("master")
    files.start_rotation("master")
    files.start_rotation("master")
    new, second = files.in_use("master")
    assert second == old != new
    (inode,) = [path for path in files.folder.iterdir() if path.name == "master.key"]
    (files.folder.parent / "second-name").hardlink_to(inode)
    files.finish_rotation("master")
    assert files.in_use("master") == [new]
    assert (files.folder.parent / "second-name").read_bytes() == bytes(65)
