"""Which files are one slide: most are one each, those of a set name each other."""

from pathlib import Path

from coverslip import formats
from coverslip.errors import CoverslipError


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files of the slide that a file belongs to, the first one first.

    The first one is what a set is known by: of a set that is not complete it is the first that is
    there, and those that are not are left out. Nothing is raised: a file of which nothing can be
    told is a slide of its own, and why is told when it is opened. Little more is read of it than
    its first directory.
    """
    found = _named_by(path)
    if found[0] == path:
        return found
    # What the first one does not know of would be left behind if it were taken for a part of it.
    return found if path in _named_by(found[0]) else (path,)


def _named_by(path: Path) -> tuple[Path, ...]:
    """Return what a file says of its set, as far as it is there."""
    try:
        names = formats.names_of_files(path)
    except (CoverslipError, OSError, MemoryError):
        return (path,)
    files = (path if name is None else path.with_name(name) for name in names)
    return tuple(file for file in files if file == path or file.is_file())
