"""Reading that is cancelled stops, with the process that reads."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

from knowrithm.tests.flows.files import write_files
from knowrithm.tests.platform import FLOW, Owner, wait_for

pytestmark = FLOW

STOPPED_WITHIN = 3  # seconds; it is about one on a machine that does nothing else


def readers(owner: Owner) -> list[psutil.Process]:
    """The children of the workers that read a document."""
    children = [child for pid in owner.platform.readers() for child in psutil.Process(pid).children()]
    found = []
    for child in children:
        with suppress(psutil.NoSuchProcess):  # ended since it was listed
            if "documents.ingestion" in child.cmdline():
                found.append(child)
    return found


def test_cancel_ends_the_process_that_reads_and_the_document_can_be_tried_again(owner: Owner, tmp_path: Path) -> None:
    agent_id = owner.create_agent()
    lines = "".join(f"{number},item {number},{number * 7 % 1000}\n" for number in range(350_000))
    [path] = write_files(tmp_path, {"long.csv": f"id,name,price\n{lines}".encode()})
    [document_id] = owner.upload(agent_id, path)
    [reader] = wait_for(lambda: readers(owner) or None, seconds=60, pause=0.02)
    # Of another session it would not come after answers and pages, whatever its worker's nice value.
    assert os.getsid(reader.pid) == os.getsid(owner.platform.part("uvicorn").pid)

    url = f"/api/v1/document/{document_id}"
    assert owner.platform.post(f"{url}/cancel", headers=owner.headers).json()["document"]["status"] == "cancelled"
    wait_for(lambda: readers(owner) == [], seconds=STOPPED_WITHIN, pause=0.05)
    time.sleep(1)
    document = owner.document(document_id)
    assert (document["status"], document["chunks"]) == ("cancelled", [])
    assert owner.platform.post(f"{url}/retry", headers=owner.headers).json()["document"]["status"] == "pending"
    wait_for(lambda: readers(owner) or None, seconds=60, pause=0.02)
    owner.client.documents.delete_document(document_id)
    wait_for(lambda: readers(owner) == [], seconds=STOPPED_WITHIN, pause=0.05)
