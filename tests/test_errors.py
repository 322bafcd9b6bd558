from reid_srdl.errors import UserError, first_line, shown


def test_message_and_hint_make_one_line():
    assert str(UserError("no data \n  in x", "\nfetch\n\nit")) == "no data in x. fetch it"
    assert str(UserError("no run", "train --resume 'my  run'")) == "no run. train --resume 'my  run'"
    assert str(UserError("no data.", "fetch it")) == "no data. fetch it"
    assert str(UserError("no data")) == "no data"


def test_a_library_s_message_is_cut_between_words():
    assert first_line(RuntimeError("  one line\nanother ")) == "one line" and first_line(ValueError()) == "ValueError"
    told = first_line(RuntimeError("a remote peer " * 20))
    assert len(told) <= 160 and told.endswith(" …") and set(told.split()) == {"a", "remote", "peer", "…"}


def test_what_others_named_commands_no_terminal():
    assert shown("a\x1b[31mb\x9b\u202egpj.exe é") == "a\\x1b[31mb\\x9b\\u202egpj.exe é"
    assert str(UserError("no \x1b]0;t", "take \u2066x")) == "no \\x1b]0;t. take \\u2066x"
