"""Where webhooks may go. Each hostile address is refused by name, at once or when its name is resolved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.hooks.addresses import NotPublic, check_url, is_public, target

PUBLIC = ["93.184.216.34"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "ftp://example.org/", "https://user:pw@example.org/", "https://user@example.org/",
        "https://example.org:8443/", "https://example.org:80/", "https://localhost/", "https://127.0.0.1/",
        "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://0x7f000001/",
        "https://2130706433/", "https://017700000001/", "https://example/", "https://printer.local/",
        "https://db.internal/", "https://a.localhost/", "https://example.org/#x", "https://exa mple.org/",
        "https://example.org/\r\nX: y", "https://exämple.org/", "https://.example.org/", "https://-x.example.org/",
        "https://example.org:99999/", "https://" + "a" * 64 + ".org/", "https://example.org/" + "x" * 500, "", "https://",
        "//example.org/", "https://example.org\\@evil.org/", "https://1.2.3.4.5/", "https://example.123/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_https_is_refused(url):
    with pytest.raises(NotPublic):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://example.org", "example.org", "/"),
        ("https://Hooks.Example.ORG:443/a/b?c=d", "hooks.example.org", "/a/b?c=d"),
        ("https://xn--bcher-kva.example/x", "xn--bcher-kva.example", "/x"),
        ("https://example.org./x", "example.org", "/x"),
    ],
)
def test_a_public_one_is_taken_apart(url, host, path):
    assert check_url(url) == (host, path)
    found = target(url, lambda name: PUBLIC if name == host else [])
    assert (found.host, found.path, found.address) == (host, path, PUBLIC[0])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.7",
        "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1",
        "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:7f00:1::", "fec0::1", "2001:db8::1", "fe80::1%eth0", "", "localhost", "1.2.3", "0x7f.1",
    ],
)  # fmt: skip
def test_a_name_that_leads_inside_is_refused(address):
    assert not is_public(address)
    for answers in ([address], [*PUBLIC, address], [address, *PUBLIC]):
        with pytest.raises(NotPublic):
            target("https://example.org/", lambda _, answers=answers: answers)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_public(address):
    assert is_public(address)


def test_a_name_without_an_address_is_refused():
    def nobody(_):
        raise OSError("no such name")

    for resolve in (nobody, lambda _: []):
        with pytest.raises(NotPublic):
            target("https://example.org/", resolve)


@given(st.text(max_size=60))
def test_no_text_breaks_the_check(text):
    try:
        host, path = check_url(f"https://{text}")
    except NotPublic:
        return
    assert "." in host
    assert path.startswith("/")
