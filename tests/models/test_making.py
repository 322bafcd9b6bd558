"""What is said of networks that cannot be made, and of weights that cannot be had."""

from __future__ import annotations

import errno
import urllib.error

import pytest

from reid_srdl.models.making import no_download


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (urllib.error.URLError("no route"), "cannot be fetched .*network connection"),
        (OSError(errno.EROFS, "Read-only file system", "/home/x/.cache"), "cannot be kept in /home/x/.cache: Read-only file system. Set TORCH_HOME"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/nohome"), "cannot be kept in /proc/nohome"),
        (RuntimeError('invalid hash value (expected "a", got "b")'), "downloaded ImageNet weights of resnet18 are damaged .*again"),
    ],
)
def test_each_reason_has_its_own_way_out(error, said):
    with pytest.raises(Exception, match=said):
        raise no_download("resnet18", error)
