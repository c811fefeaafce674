"""X.509 certificates with elliptic curve P-256, made with the standard library alone, for servers on loopback only."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    rise, run = (3 * a[0] ** 2 - 3, 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = rise * pow(run, -1, P) % P
    x = (slope**2 - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(factor: int) -> tuple[int, int]:
    total: Point = None
    power: Point = G
    while factor:
        if factor & 1:
            total = add(total, power)
        power = add(power, power)
        factor >>= 1
    assert total is not None
    return total


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def integer(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    out = bytes([first * 40 + second])
    for arc in rest:
        digits = [arc & 127]
        while arc := arc >> 7:
            digits.insert(0, arc & 127 | 128)
        out += bytes(digits)
    return der(6, out)


EC_KEY = der(0x30, oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"))
ECDSA_SHA256 = der(0x30, oid("1.2.840.10045.4.3.2"))


@dataclass
class Certificate:
    """A key and its certificate, made when needed. Without an issuer it is self-signed, and may sign others."""

    name: str
    issuer: Certificate | None = None
    ends: str = "491231235959Z"

    @cached_property
    def secret(self) -> int:
        return secrets.randbelow(N - 1) + 1

    @cached_property
    def point(self) -> bytes:
        x, y = times(self.secret)
        return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")

    def _name(self) -> bytes:
        return der(0x30, der(0x31, der(0x30, oid("2.5.4.3"), der(0x0C, self.name.encode()))))

    def _key_id(self) -> bytes:
        return hashlib.sha256(self.point).digest()[:20]

    @cached_property
    def der(self) -> bytes:
        by = self.issuer or self

        def extension(number: str, value: bytes, *, critical: bool = False) -> bytes:
            return der(0x30, oid(number), der(1, b"\xff") if critical else b"", der(4, value))

        try:
            alternative = der(0x87, ipaddress.ip_address(self.name).packed)
        except ValueError:
            alternative = der(0x82, self.name.encode())
        extensions = [
            extension("2.5.29.14", der(4, by._key_id() if by is self else self._key_id())),
            extension("2.5.29.35", der(0x30, der(0x80, by._key_id()))),
            extension("2.5.29.17", der(0x30, alternative)),
        ]
        if self.issuer is None:
            extensions.append(extension("2.5.29.19", der(0x30, der(1, b"\xff")), critical=True))
            extensions.append(extension("2.5.29.15", der(3, b"\x01\x86"), critical=True))
        inner = der(
            0x30,
            der(0xA0, integer(2)),
            integer(secrets.randbits(64)),
            ECDSA_SHA256,
            by._name(),
            der(0x30, der(0x17, b"200101000000Z"), der(0x17, self.ends.encode())),
            self._name(),
            der(0x30, EC_KEY, der(3, b"\x00", self.point)),
            der(0xA3, der(0x30, *extensions)),
        )
        nonce = secrets.randbelow(N - 1) + 1
        r = times(nonce)[0] % N
        s = pow(nonce, -1, N) * (int.from_bytes(hashlib.sha256(inner).digest(), "big") + r * by.secret) % N
        return der(0x30, inner, ECDSA_SHA256, der(3, b"\x00", der(0x30, integer(r), integer(s))))

    def pem(self, folder: Path) -> Path:
        """Return the certificate as a PEM file."""
        path = folder / f"{id(self)}.pem"
        path.write_text(_armour("CERTIFICATE", self.der))
        return path

    def server(self, folder: Path) -> ssl.SSLContext:
        """Return the SSL context of a server with this certificate."""
        key = der(
            0x30,
            integer(1),
            der(4, self.secret.to_bytes(32, "big")),
            der(0xA0, oid("1.2.840.10045.3.1.7")),
            der(0xA1, der(3, b"\x00", self.point)),
        )
        path = folder / f"{id(self)}.key.pem"
        path.write_text(_armour("EC PRIVATE KEY", key) + _armour("CERTIFICATE", self.der))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _armour(what: str, content: bytes) -> str:
    return f"-----BEGIN {what}-----\n{base64.encodebytes(content).decode()}-----END {what}-----\n"
