"""Which addresses are gone to."""

from ipaddress import ip_address

import pytest

from provisioning.outside import Address, Outside, OutsideRefused, is_public


@pytest.mark.parametrize("text", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450::1"])
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.9.9.9", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
        "100.100.100.200", "169.254.169.254", "169.254.170.2", "168.63.129.16", "192.0.0.192", "198.18.0.1",
        "192.0.2.1", "203.0.113.9", "192.88.99.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "ff0e::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:7f00:1::", "2001:db8::1",
        "fec0::1", "100::1",
    ],
)  # fmt: skip
def test_ways_back_to_ourselves_are_not(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://maple.example/logo.png", "file:///etc/passwd", "gopher://maple.example/", "data:image/png;base64,x",
        "//maple.example/logo.png", "maple.example/logo.png", "", "http://", "https:///logo.png",
        "http://maple.example:22/logo.png", "http://maple.example:443/", "https://maple.example:80/",
        "http://maple.example:8080/", "http://maple.example:0/", "http://maple.example:99999/", "http://[::1",
        "http://user@maple.example/", "http://user:password@maple.example/", "http://maple.example\\@127.0.0.1/",
        "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:169.254.169.254]/", "http://169.254.169.254/latest/",
        "http://[fe80::1%25eth0]/", "http://0/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
        "http://127.1/", "http://localhost/", "http://①②⑦.⓪.⓪.①/", "http://127.0.0.1./", "http://inside.example/",
        "http://mixed.example/", "http://nowhere.example/",
    ],
)  # fmt: skip
async def test_what_leads_elsewhere_is_never_connected_to(url: str) -> None:
    asked: list[str] = []

    async def resolve(name: str, _port: int) -> list[Address]:
        asked.append(name)
        known = {
            "inside.example": ["10.1.2.3"],
            # One address for whoever judges and one for whoever connects: both are judged.
            "mixed.example": ["93.184.216.34", "127.0.0.1"],
            "nowhere.example": [],
        }
        return [ip_address(text) for text in known.get(name, ["127.0.0.1"])]

    with pytest.raises(OutsideRefused):
        await Outside(resolve=resolve).fetch(url, max_bytes=10)
    assert len(asked) <= 1
