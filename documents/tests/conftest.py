from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture
def tesseract() -> None:
    if shutil.which("tesseract") is None and os.environ.get("CI") != "true":
        pytest.skip("tesseract is not installed (package tesseract-ocr)")
