"""Bad input is a clear 4xx in the contract's envelope, on every operation and in every field; never a 5xx."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from rest_framework.test import APIClient

from conftest import Character
from tenants.models import TwoFactor
from knowrithm.tests.hostile import OTHER_TYPES, TEXTS, Attacker, Operation, more_texts, operations
from knowrithm.tests.isolation import bury

def buried(acme):
    t = bury(acme)
    TwoFactor.objects.all().delete()
    return t

ALL = [*TEXTS, *OTHER_TYPES, *more_texts()]
OPS = operations()

@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("who", ["admin", "super"])
def test_all(part: int, who, acme: Character, acme_api: APIClient, super_admin_api) -> None:
    a = Attacker(acme_api if who == "admin" else super_admin_api, buried(acme))
    started = time.time()
    try:
        for op in OPS[part::4]:
            t0, n0 = time.time(), a.requests
            a.send(op, "good", body=a.good_body(op))
            for v in ALL:
                short = repr(v)[:80]
                for p in op.in_path:
                    a.send(op, f"path {p} {short}", path={p: v})
                if op.in_query:
                    a.send(op, f"query all {short}", query={q: v for q in op.in_query})
                if op.in_body:
                    a.send(op, f"body all {short}", body={q: v for q in op.in_body})
                if os.environ.get("EACH"):
                    for q in op.in_query:
                        a.send(op, f"query {q} {short}", query={q: v})
                    for q in op.in_body:
                        a.send(op, f"body {q} {short}", body={**a.good_body(op), q: v})
            if time.time() - t0 > 5: print("slow", op.key, time.time() - t0, a.requests - n0)
    finally:
        print(who, part, a.requests, "requests", time.time() - started)
        for k, w in a.findings.items():
            print("FINDING", k, "|", w)
    assert not a.findings
