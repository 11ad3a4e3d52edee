"""Run a program as another user: Postgres refuses to run as root.

That user may not be able to reach the data folder or the installed binaries (a clone under /root). The modes of
existing folders are not changed for that. Unreachable data and copies of binaries are kept under /var/tmp instead.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from podium.game.errors import EmbeddedError

# Writable, kept over a reboot, and reachable by everyone. Folders made here belong to root, so that nobody
# else can swap their contents.
SHARED = Path("/var/tmp")  # noqa: S108 - made with mkdir/mkdtemp, and refused if somebody else's
# In order of preference: the user of system packages of Postgres, and one that exists everywhere.
NAMES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run as."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Return whether this user can enter `folder`."""
        return self.succeeds(["/bin/sh", "-c", 'cd -- "$0"', str(folder)])

    def succeeds(self, command: list[str]) -> bool:
        """Run a short command as this user. Return False if it can't be run, or fails."""
        try:
            done = subprocess.run(  # noqa: S603 - our own commands, no shell input
                command,
                cwd="/",
                capture_output=True,
                check=False,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
            )
        except OSError:
            return False
        return done.returncode == 0


def unprivileged_account() -> Account | None:
    """Return the account to run Postgres as, or None to run it as the present user, who isn't root.

    Raises:
        EmbeddedError: We are root, and there is no suitable user.
    """
    if os.geteuid() != 0:
        return None
    for name in NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "Postgres refuses to run as root, and there is no user 'postgres' or 'nobody' to run it as;"
        " start podium as an ordinary user."
    )


def away_folder(folder: Path) -> Path:
    """Return the folder under /var/tmp that replaces `folder`, creating it if needed. Call `claim` on it next.

    Raises:
        EmbeddedError: It can't be created, or belongs to another user.
    """
    away = SHARED / f"podium-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    try:
        away.mkdir(mode=0o711, exist_ok=True)
        _check_ours(away)
        away.chmod(0o711)
    except OSError as error:
        raise EmbeddedError(f"Cannot create {away}: {error.strerror}.") from error
    return away


def claim(away: Path, folder: Path) -> None:
    """Record in `away` that it belongs to `folder`.

    Raises:
        EmbeddedError: Another data folder, which was moved or copied, still uses it.
    """
    note = away / "folder"
    owner = Path(note.read_text()) if note.exists() else folder
    if owner != folder and owner.exists():
        raise EmbeddedError(
            f"{away} holds the data of {owner}, so {folder} can't use it; choose another data folder."
        )
    note.write_text(str(folder))


def copy_for_everyone(sources: list[Path], name: str) -> Path:
    """Return a folder under /var/tmp with copies of `sources` that everyone can run, created once per `name`.

    Raises:
        EmbeddedError: The files can't be copied, or the folder belongs to another user.
    """
    target = SHARED / name
    if target.exists():
        _check_ours(target)
        return target
    draft = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SHARED))
    try:
        for source in sources:
            shutil.copytree(source, draft / source.name)
        for place, _, files in os.walk(draft):
            os.chmod(place, 0o755)  # noqa: S103 - a public package's files
            for file in files:
                path = Path(place, file)
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))
        draft.rename(target)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not target.exists():  # if it does, another podium has just created it
            raise EmbeddedError(f"Cannot copy {sources[0]} to {target}: {error.strerror}.") from error
    _check_ours(target)
    return target


def _check_ours(folder: Path) -> None:
    # Anyone may create names in /var/tmp, so an existing folder may hold another user's programs.
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise EmbeddedError(f"{folder} belongs to another user; remove it, or start podium as an ordinary user.")
