from reid_srdl.errors import UserError


def test_message_and_hint_make_one_line():
    assert str(UserError("no data\nin x", "fetch  it")) == "no data in x. fetch it"
    assert str(UserError("no data.", "fetch it")) == "no data. fetch it"
    assert str(UserError("no data")) == "no data"
