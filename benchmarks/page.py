"""How large the report's page is, and how soon it shows something.

    python benchmarks/page.py [RUN] [--rows 20000]

Renders the page of a stored run (default: reports/latest), or with --rows of a made-up run of so many rows, and prints its size,
what of it is data, script and style, and the seconds to make it; where Chromium and Playwright are there, also the seconds from
opening the file to the first matrix, and to a search's result.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.reporting import html
from harness.reporting.model import pack
from harness.reporting.store import StoredRun, read


def made_up(folder: Path, rows: int) -> StoredRun:
    """A run of so many rows: cases of two implementations, four checks each, charts and masks in all."""
    from harness.records import Verdict
    from tests.reporting import fakes

    labels = ["numpy", fakes.LSTM[2]]
    variants = [fakes.variant(f"cases/many/{n:05}.yaml", labels) for n in range(rows // 8)]
    events = (
        fakes.compared(
            one,
            label,
            *(fakes.row(one, label, f"value.{name}", Verdict.PASS) for name in "yhcz"),
            masks={"input": fakes.mask(index % 7)},
            charts=fakes.charts(1e-7 * (1 + index)),
        )
        for index, one in enumerate(variants)
        for label in labels
    )
    return read(fakes.store(folder, variants, events))


def sizes(run: StoredRun) -> dict[str, Any]:
    """Bytes of the page and of its parts, and the seconds to make it."""
    started = time.perf_counter()
    page = html.render(run)
    took = time.perf_counter() - started
    packed = pack(run)
    plain = len(json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode())
    parts = {"script": html.SCRIPTS, "style": html.STYLES}
    static = {name: sum(len(html._text("static", one).encode()) for one in files) for name, files in parts.items()}
    return {
        "rows": run.meta["rows"],
        "page": len(page.encode()),
        "data in the page": len(html.embedded(packed)),
        "data before it is deflated": plain,
        **static,
        "seconds to make": round(took, 2),
    }


def opening(path: Path) -> dict[str, float]:
    """Seconds in a browser; {} without one."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    if chromium is None:
        return {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        started = time.perf_counter()
        page.goto(f"file://{path}")
        page.wait_for_selector(".matrix tbody tr")
        shown = time.perf_counter() - started
        searched = page.evaluate(
            """() => new Promise((done) => {
              const start = performance.now();
              addEventListener("hashchange", () => requestAnimationFrame(() => done(performance.now() - start)), { once: true });
              location.hash = "q=no-such-case";
            })"""
        )
        browser.close()
    return {"seconds to the matrix": round(shown, 3), "seconds to a search": round(searched / 1000, 3)}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="reports/latest", type=Path)
    parser.add_argument("--rows", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = made_up(Path(folder) / "run", chosen.rows) if chosen.rows else read(chosen.run)
        path = html.write(run, Path(folder) / "report.html")
        for name, value in {**sizes(run), **opening(path)}.items():
            print(f"{name:28} {value:>12,}")


if __name__ == "__main__":
    main()
