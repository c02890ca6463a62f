"""Opening a node's index: as the last life left it, or empty when that cannot be trusted."""

import shutil
from pathlib import Path

import lmdb

from kit import log
from proxy.store.index import FOLDER, VERSION, Index


def open_index(directory: Path) -> tuple[Index, bool]:
    """The index, and whether it knows all files of before. Not after another boot that found no orderly end: what LMDB
    had not synced may be torn."""
    try:
        index = Index(directory)
        about = index.about()
    except lmdb.Error as error:
        log.get("store").warning("index made anew", why=str(error))
        shutil.rmtree(directory / FOLDER, ignore_errors=True)
        index, about = Index(directory), {}
    known = about.get("version") == VERSION and (about.get("clean") is True or about.get("boot") == boot_id())
    if not known:
        index.clear()
    index.note(clean=False, boot=boot_id())
    return index, known


def boot_id() -> str:
    """This boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
