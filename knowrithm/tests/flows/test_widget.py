"""The chat widget on a customer's page, against the whole platform: from the form to a cited answer, and back again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from agents.tests.test_widget_browser import CHROMIUM, FLAGS
from agents.tests.widget_stub import HostSite, running_site
from agents.tests.widget_visit import PAGE
from knowrithm.tests.flows.files import WARRANTY, WARRANTY_QUESTION, library, write_files
from knowrithm.tests.platform import FLOW, Owner
