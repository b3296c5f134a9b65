"""Files and text: written whole or not at all, whatever characters they hold."""

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""Of the checkout, or the folder into which the package was installed."""
CHECKOUT = (ROOT / "pyproject.toml").exists()
"""Whether this is a checkout."""


def encodable(text: str) -> str:
    r"""Escape what UTF-8 has no bytes for: halves of surrogate pairs, as in a file name that is not UTF-8.

    Parameters
    ----------
    text : str
        Any.

    Examples
    --------
    >>> print(encodable("omega \udcff Ω"))
    omega \udcff Ω
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write(path: Path, content: str | bytes) -> None:
    """Write a file that is there whole or, if the disk is full or the power is cut, not at all.

    What can't be encoded, as the bytes of a file name that is not UTF-8, is escaped. Where a link was planted, the link
    itself is replaced, not what it leads to.

    Parameters
    ----------
    path : Path
        Of the file; its folder is made if it is missing.
    content : str or bytes
        What it shall hold.

    Raises
    ------
    OSError
        If it can't be written, or something that is not a file has its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no file; name another one")
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def open_terminal() -> None:
    """Let whatever is printed be printed: what the terminal's encoding lacks is escaped."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's own stream may have none
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
