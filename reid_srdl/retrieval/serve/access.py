"""Which requests are answered: on this machine those that name it as their host, from elsewhere those with the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus, urlsplit

from ...errors import UserError
from .refused import Refused

SHORTEST = 8
"""Characters that a token has at least."""

_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Access:
    """The rules.

    Args:
        token: that requests have to bring; none where they need none.
        hosts: names that requests may have in their header ``Host``; none allows all. This stops DNS rebinding: a stranger may let
            ``stranger.example`` resolve to 127.0.0.1, but browsers still send that name.
        origins: further hosts whose pages may send requests, such as that of a proxy in front of this server.
    """

    token: str | None = None
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()

    @property
    def cookie(self) -> str:
        """Name of the cookie. It depends on the token, since cookies know no ports and a machine may have several servers."""
        return f"reid_{self._digest('name')[:8]}"

    @property
    def pass_mark(self) -> str:
        """What the cookie holds: not the token itself, which stays out of browsers' stores."""
        return self._digest("pass")

    def _digest(self, purpose: str) -> str:
        return hmac.new((self.token or "").encode(), purpose.encode(), hashlib.sha256).hexdigest()

    def check(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> str | None:
        """Lets a request pass, or raises ``Refused``.

        Args:
            method, path: of the request.
            query: what stands behind ``?``.
            headers: by their names in small letters.

        Returns:
            a cookie to set, where the request came by the link with the token.
        """
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            raise Refused(403, f"this server is not {host[:100] or 'without a name'}", "Ask it by the address that it printed; behind a proxy, start it with --names HOST.")
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None:
            netloc = _netloc(origin)
            if netloc.lower() != host.lower() and _name(netloc) not in self.origins:
                raise Refused(403, "a page of another site has sent this", "Use the server's own page, or a program; behind a proxy, start it with --names HOST.")
        if self.token is None:
            return None
        if self._same(headers.get("authorization", ""), f"Bearer {self.token}") or self._same(self._cookie_of(headers), self.pass_mark):
            return None
        if path == "/" and any(self._same(given, self.token) for given in _tokens(query)):
            return f"{self.cookie}={self.pass_mark}; Path=/; HttpOnly; SameSite=Strict"
        raise Refused(401, "this server asks for its token", "Open the link that it printed, or send the header Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"})

    def _cookie_of(self, headers: Mapping[str, str]) -> str:
        # By hand: http.cookies drops all cookies where one, perhaps of another program on this host, is malformed.
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.cookie:
                return value
        return ""

    @staticmethod
    def _same(given: str, wanted: str) -> bool:
        # In constant time, which does not tell how much of it was right.
        return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def access_for(host: str, token: str | None, names: Sequence[str] = ()) -> tuple[Access, bool]:
    """The rules of a server that listens at ``host``, and whether its token was made here.

    Args:
        host: an address or name.
        token: as given; none lets one be made where other machines can reach the server, directly or through a proxy.
        names: host names under which a proxy passes requests on.

    Raises:
        UserError: a token that is easily guessed or cannot stand in a header or a link; a name that is no host's.
    """
    for name in names:
        if _address(name) is None and (not name or _name(name) != name.lower()):
            raise UserError(f"--names {name} is no name of a host", "Name it alone, such as people.example, without http:// and without a port: it is answered by any.")
    if token is not None and set(token) & set("&#%"):
        raise UserError("the token holds one of & # %, which mean something else in a link", "Take letters, digits and others such as - _ + / =.")
    if token is not None and (len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token):
        raise UserError("the token is too short, or holds other characters than ASCII ones without spaces", f"Take {SHORTEST} characters or more, or leave it out: one is made then.")
    others = frozenset(name.lower() for name in names)
    if is_local(host):
        made = secrets.token_urlsafe(24) if token is None and others else None
        return Access(token or made, frozenset({*_LOCAL, host.strip("[]").lower()}) | others, others), made is not None
    return Access(token or secrets.token_urlsafe(24), None, others), token is None


def is_local(host: str) -> bool:
    """Whether only this machine can reach a server that listens at ``host``."""
    if host.lower() == "localhost":
        return True
    address = _address(host.strip("[]"))
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _tokens(query: str) -> list[str]:
    """What the token of a link may be: as typed, percent-decoded, or decoded as a form's field, where a + is a space."""
    typed = [part.partition("=")[2] for part in query.split("&") if part.startswith("token=")]
    return [*typed, *map(unquote, typed), *map(unquote_plus, typed)]


def _netloc(origin: str) -> str:
    """Host and port of an origin; empty for what is none, such as ``null``."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _name(netloc: str) -> str:
    """The host's name without the port, in lower case; empty for what is none."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""
