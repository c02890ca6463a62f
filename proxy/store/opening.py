"""Opening a node's index: as the last life left it, or empty when that cannot be trusted."""

import shutil
from pathlib import Path

import lmdb

from kit import log
from proxy.store.accounts import Tenants
from proxy.store.index import FOLDER, VERSION, Index


def open_index(directory: Path, tenants: Tenants) -> tuple[Index, bool, tuple[str, ...]]:
    """The index, whether it knows all files of before, and the directories that were well when it was looked through
    for strays. Not known after another boot that found no orderly end: what LMDB had not synced may be torn."""
    try:
        index = Index(directory, tenants)
        about = index.about()
    except lmdb.Error as error:
        log.get("store").warning("index made anew", why=str(error))
        shutil.rmtree(directory / FOLDER, ignore_errors=True)
        index, about = Index(directory, tenants), {}
    known = about.get("version") == VERSION and (about.get("clean") is True or about.get("boot") == boot_id())
    if not known:
        index.clear()
    elif about.get("tenants") != list(tenants.prefixes):
        index.reckon()
    index.note(clean=False, boot=boot_id(), tenants=tenants.prefixes)
    return index, known, tuple(about.get("homes", ())) if known else ()


def boot_id() -> str:
    """This boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
