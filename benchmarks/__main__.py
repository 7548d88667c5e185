"""`python -m benchmarks [NAME…]`, beside a database and a Redis that may be filled and forgotten.

Prints the figures; a run of all writes them to RESULTS.md."""

from __future__ import annotations

import argparse
import importlib
import logging
import os

import django

from benchmarks import report

NAMES = (
    "first_token",
    "upload_to_searchable",
    "turns200",
    "streams",
    "fair_turns",
    "pdf_extraction",
    "ocr",
    "new_company",
    "authenticated_get",
    "second_wall",
    "concurrency",
    "retrieval",
    "scale",
    "evidence",
    "topics",
    "visitors",
    "leads",
    "widget",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all if none is given")
    wanted: list[str] = parser.parse_args().names
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "knowrithm.settings")
    django.setup()
    for name in ("httpx2", "knowrithm.request"):
        logging.getLogger(name).setLevel(logging.WARNING)  # a line for every request
    results = {}
    for name in wanted or NAMES:
        print(f"{name} …", flush=True)
        results[name] = importlib.import_module(f"benchmarks.{name}").run()
        for row in results[name]:
            print(f"  {row.what:<48} {row.figure:<28} {row.goal:<12} {row.verdict}", flush=True)
    if not wanted:
        report.RESULTS.write_text(report.page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
