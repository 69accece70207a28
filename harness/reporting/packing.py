"""A stored run made small enough to be kept in a repository: its text files compressed, everything else as it was.

`harness report`, `explain`, `gate`, `compare` and the others read it like any run. The same run packs to the same bytes.
"""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

from harness.reporting import files
from harness.reporting.powers import POWER
from harness.reporting.store import DATA, RUN, StoredRun

#: Files of a run that compress; archives of arrays are compressed already.
TEXTS = (".json", ".jsonl", ".csv")


def pack(run: StoredRun, folder: Path) -> Path:
    """Write a stored run into another folder, packed, and return that. What was there of an earlier run is replaced."""
    partial = files.partial_folder(folder)
    with files.removed_after(partial):
        described = {}
        for name in run.meta["files"]:
            source, packed = files.present(run.folder / name), name.endswith(TEXTS)
            target = partial / (name + files.PACKED if packed else name)
            if packed and source.name == name:
                # No date and no name in the header: the same bytes of the same run.
                with (
                    source.open("rb") as plain,
                    target.open("wb") as raw,
                    gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as compressed,
                ):
                    shutil.copyfileobj(plain, compressed)
            else:
                shutil.copyfile(source, target)
            described[name] = {"bytes": target.stat().st_size, "sha256": files.digest(target)}
        meta = {**run.meta, "files": described}
        (partial / RUN).write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        power = run.folder / POWER
        if power.is_file():
            shutil.copyfile(power, partial / POWER)
        written = [path.name for path in partial.iterdir() if path.name != RUN]
        for name in DATA:  # plain files of an earlier run would be taken for the packed ones
            (folder / name).unlink(missing_ok=True)
        files.publish_set(partial, folder, sorted(written), RUN)
    return folder
