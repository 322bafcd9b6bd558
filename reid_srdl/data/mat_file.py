"""Arrays of MATLAB files, in which some data sets keep their lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UserError


def read_mat(path: Path, *keys: str) -> dict[str, np.ndarray]:
    """The named arrays of a MATLAB file.

    Raises:
        UserError: no such file, another format, or a key is missing.
    """
    import scipy.io

    try:
        content = scipy.io.loadmat(path, variable_names=keys)
    except Exception as error:  # a broken file makes scipy raise nearly anything
        raise UserError(
            f"{path} is not a readable .mat file ({type(error).__name__}: {error})", "Fetch it again."
        ) from None
    missing = [key for key in keys if key not in content]
    if missing:
        raise UserError(f"{path} has no {' and no '.join(missing)}", "Fetch it again.")
    return {key: content[key] for key in keys}
