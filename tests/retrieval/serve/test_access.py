"""Who is answered."""

from __future__ import annotations

import dataclasses

import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval.serve.access import Access, access_for, is_local
from reid_srdl.retrieval.serve.refused import Refused

TOKEN = "correct-horse"


def status(access: Access, method="GET", path="/", query="", **headers) -> int:
    try:
        access.check(method, path, query, {"host": "127.0.0.1:8000", **headers})
    except Refused as refused:
        return refused.status
    return 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "127.0.0.2", "[::1]"])
def test_on_this_machine_nobody_is_asked_for_a_token(host):
    access, made = access_for(host, None)
    assert is_local(host) and access.token is None and not made and status(access) == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "camera.example", ""])
def test_beyond_it_everybody_is(host):
    access, made = access_for(host, None)
    assert not is_local(host) and made and len(access.token) >= 24 and status(access) == 401
    assert access_for(host, None)[0].token != access.token
    assert access_for(host, TOKEN) == (Access(TOKEN, None), False)


def test_behind_a_proxy_there_is_a_token_too():
    access, made = access_for("127.0.0.1", None, ["people.example"])
    assert made and status(access, host="people.example") == 401
    assert access_for("127.0.0.1", TOKEN, ["people.example"])[0].token == TOKEN


def test_a_name_that_has_come_to_mean_this_machine_is_not_answered():
    access = dataclasses.replace(access_for("127.0.0.1", TOKEN, ["People.Example"])[0], token=None)
    for name in ("127.0.0.1", "127.0.0.1:8000", "localhost:1", "[::1]:8000", "people.example", "PEOPLE.example:443"):
        assert status(access, host=name) == 200, name
    for name in ("stranger.example", "stranger.example:8000", "127.0.0.1.stranger.example", "", "[", "localhost@stranger.example", "192.168.1.4"):
        assert status(access, host=name) == 403, name


@pytest.mark.parametrize("name", ["people.example:8443", "https://people.example", "people.example/search", "me@people.example", "[", ""])
def test_a_name_that_no_request_could_have_is_refused(name):
    with pytest.raises(UserError, match="is no name of a host. Name it alone, such as people.example"):
        access_for("127.0.0.1", TOKEN, ["other.example", name])


def test_a_name_may_be_an_address():
    access = dataclasses.replace(access_for("127.0.0.1", TOKEN, ["fd00::1", "10.0.0.7"])[0], token=None)
    assert status(access, host="[fd00::1]:8443") == status(access, host="10.0.0.7:80") == 200


def test_pages_of_others_send_nothing():
    access = dataclasses.replace(access_for("127.0.0.1", TOKEN, ["people.example"])[0], token=None)
    for origin in ("http://127.0.0.1:8000", "https://people.example"):
        assert status(access, "POST", "/search", origin=origin) == 200
    for origin in ("http://stranger.example", "http://127.0.0.1:9000", "null", "", "http://[", "http://[::1"):
        assert status(access, "POST", "/search", origin=origin) == 403
    assert status(access, "POST", "/search") == 200  # programs say nothing of a page


def test_the_token_opens_by_header_cookie_and_link():
    access = Access(TOKEN)
    assert status(access) == 401
    assert status(access, path="/search", authorization=f"Bearer {TOKEN}") == 200
    assert status(access, path="/search", cookie=f"other=1; {access.cookie}={access.pass_mark}") == 200
    for odd in ('theme={"dark":true}', "a b=c d", "naïve=é", "word", "x=;y"):  # of another program on this host: cookies know no ports
        assert status(access, path="/search", cookie=f"{odd}; {access.cookie}={access.pass_mark}") == 200
    cookie = access.check("GET", "/", f"token={TOKEN}&camera=2", {"host": "a"})
    assert cookie == f"{access.cookie}={access.pass_mark}; Path=/; HttpOnly; SameSite=Strict" and TOKEN not in cookie
    assert status(access, path="/health", query=f"token={TOKEN}") == 401  # addresses are written down; only the link bears it


def test_a_token_with_a_plus_opens_as_it_was_typed_and_encoded():
    access, _ = access_for("0.0.0.0", "abcd+efgh/12==")
    for query in ("token=abcd+efgh/12==", "token=abcd%2Befgh%2F12%3D%3D", "camera=1&token=abcd%2befgh/12=="):
        assert status(access, query=query) == 200, query
    assert status(access, query="token=abcd efgh/12==") == status(access, query="xtoken=abcd+efgh/12==") == 401
    for token in ("abcd&efgh", "abcd#efgh", "abcd%2Befgh"):
        with pytest.raises(UserError, match="one of & # %, which mean something else in a link"):
            access_for("0.0.0.0", token)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": TOKEN}, {"authorization": f"Basic {TOKEN}"}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": f"Bearer {TOKEN[:-1]}"}, {"authorization": "Bearer "},
        {"authorization": "Bearer \u00e9\ud800"}, {"cookie": f"reid={TOKEN}"}, {"cookie": "broken cookie; ;=;"}, {"cookie": f"{Access(TOKEN).cookie}={TOKEN}"},
        {"cookie": f"{Access('another-token').cookie}={Access('another-token').pass_mark}"},
    ],
)  # fmt: skip
def test_nothing_else_does(headers):
    assert status(Access(TOKEN), path="/search", **headers) == 401
    assert status(Access(TOKEN), query="token=", **headers) == status(Access(TOKEN), query="token=guess", **headers) == 401


@pytest.mark.parametrize("token", ["short", "with a space in it", "pässwörter", "new\nline-and-more"])
def test_a_token_that_is_weak_or_no_header_is_refused(token):
    with pytest.raises(UserError, match="the token is too short, or holds other characters"):
        access_for("0.0.0.0", token)
