"""What no reader takes of a user's folders is told of."""

from reid_srdl.data.left_out import LeftOut, warn_of_kinds


def test_nothing_is_said_of_nothing_and_many_are_one_line_each(tmp_path, capsys):
    for name in ("anna/1.jpg", "anna/a.heic", "anna/b.GIF", "anna/notes.txt", "anna/.hidden.heic", "anna/deep/2.jpg", "anna/deep/3.jpg", "bert/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    sound, found = LeftOut("person"), LeftOut("person")
    sound.look(tmp_path / "bert")
    sound.tell()
    warn_of_kinds([])
    assert capsys.readouterr().err == ""
    found.look(tmp_path / "anna")
    found.tell()
    assert capsys.readouterr().err.splitlines() == [
        f"warning: 2 images are left out, of a kind that is not read (such as {tmp_path}/anna/a.heic): save them as JPEG or PNG",
        f"warning: 2 images are left out, in folders below that of a person (such as {tmp_path}/anna/deep/2.jpg): move them up",
    ]
