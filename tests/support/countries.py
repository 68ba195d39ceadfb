"""A file of countries in MaxMind's format, as small as can be.

`write_countries(path, {"81.2.69.0/24": {"country": {"iso_code": "GB"}}})`
"""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

_MARKER = b"\xab\xcd\xefMaxMind.com"
_RECORD_BITS = 24
_16_BITS = bytes([(5 << 5) | 2]), 2
# Readers insist on the size of each number.
_INTEGERS = {
    "binary_format_major_version": _16_BITS, "binary_format_minor_version": _16_BITS, "ip_version": _16_BITS,
    "record_size": _16_BITS, "node_count": (bytes([(6 << 5) | 4]), 4), "build_epoch": (bytes([8, 2]), 8),
}  # fmt: skip


def write_countries(path: Path, networks: Mapping[str, Mapping[str, Any]], *, version: int = 6) -> Path:
    """Write a file that knows these networks; IPv4 ones lie where IPv6 has them (::/96)."""
    tree: list[list[Any]] = [[None, None]]
    data = b""
    for network, record in networks.items():
        leaf, data = len(data), data + _encode(record)
        _insert(tree, _bits(network, version), leaf)
    nodes = b"".join(_pointer(side, len(tree)).to_bytes(3, "big") for node in tree for side in node)
    about = {
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_700_000_000,
        "database_type": "Test", "description": {"en": "A test"}, "ip_version": version, "languages": ["en"],
        "node_count": len(tree), "record_size": _RECORD_BITS,
    }  # fmt: skip
    path.write_bytes(nodes + bytes(16) + data + _MARKER + _encode(about))
    return path


def _bits(network: str, version: int) -> str:
    parsed = ip_network(network)
    bits = f"{int(parsed.network_address):0{parsed.max_prefixlen}b}"[: parsed.prefixlen]
    return "0" * 96 + bits if parsed.version == 4 and version == 6 else bits


def _insert(tree: list[list[Any]], bits: str, leaf: int) -> None:
    node = tree[0]
    for bit in map(int, bits[:-1]):
        if node[bit] is None:
            tree.append([None, None])
            node[bit] = ("node", len(tree) - 1)
        node = tree[node[bit][1]]
    node[int(bits[-1])] = ("data", leaf)


def _pointer(side: tuple[str, int] | None, nodes: int) -> int:
    if side is None:
        return nodes
    kind, at = side
    return at if kind == "node" else nodes + 16 + at


def _encode(value: Any, name: str = "") -> bytes:
    match value:
        case str():
            return bytes([(2 << 5) | len(value)]) + value.encode()
        case int():
            code, size = _INTEGERS[name]
            return code + value.to_bytes(size, "big")
        case list():
            return bytes([len(value), 4]) + b"".join(map(_encode, value))
        case _:
            pairs = b"".join(_encode(key) + _encode(each, key) for key, each in value.items())
            return bytes([(7 << 5) | len(value)]) + pairs
