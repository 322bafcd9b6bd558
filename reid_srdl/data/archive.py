"""Zip archives, unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from .. import files
from ..errors import UserError


def extract_zip(archive: files.Pathlike, folder: files.Pathlike, *, max_bytes: int = 64 << 30, max_files: int = 5_000_000) -> Path:
    """Unpacks ``archive`` into ``folder``, which appears whole or not at all.

    Raises:
        UserError: the archive is no zip or cannot be read; a member is a link, or its name leads outside the folder; there are more bytes
            or files than allowed (sizes are checked before and while unpacking, since a header may lie).
        OSError: the folder cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    temporary = files.in_the_making(folder, ".unpacking")
    try:
        with _opened(archive) as opened:
            members = opened.infolist()
            _check_members(archive, members, max_bytes, max_files)
            temporary.mkdir(parents=True)
            for member in members:
                _extract_member(opened, member, temporary)
        temporary.rename(folder)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, UnicodeError, NotImplementedError, RuntimeError) as error:  # the last two: an unknown compression, a password
        raise UserError(f"{archive} is not a readable zip archive ({error})", "Fetch it again.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except OSError as error:
        raise UserError(f"cannot read {archive}: {error.strerror}") from None


def _check_members(archive: Path, members: list[zipfile.ZipInfo], max_bytes: int, max_files: int) -> None:
    if len(members) > max_files or sum(member.file_size for member in members) > max_bytes:
        raise UserError(
            f"{archive} would unpack to more than {max_files:,} files or {max_bytes / 2**30:.0f} GiB",
            "Unpack it by hand if you trust it.",
        )
    for member in members:
        name = _name_of(member)
        if name.is_absolute() or ".." in name.parts or any(":" in part for part in name.parts[:1]) or stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(
                f"{archive} holds the name {member.filename!r}, which would write outside its folder",
                "Nothing was unpacked: fetch the archive from its publisher.",
            )


def _name_of(member: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member; some programs on Windows write backslashes, against the format."""
    return PurePosixPath(member.filename.replace("\\", "/"))


def _extract_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / _name_of(member)
    if member.filename.endswith(("/", "\\")):
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, open(target, "wb") as out:
        while block := source.read(1 << 20):
            left -= len(block)
            if left < 0:
                raise UserError(f"{member.filename} in {archive.filename} is larger than the archive says")
            out.write(block)
