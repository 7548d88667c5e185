"""The published Python client, unmodified: a company's profile, its end and its return (scenarios 20 and 21)."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from PIL import Image

from knowrithm.embedded.__main__ import DEFAULT_SUPER_ADMIN
from knowrithm.embedded.credentials import platform_secrets
from knowrithm.tests.flows.test_sdk import refused
from knowrithm.tests.platform import FLOW, Owner, Platform, bearer, wait_for

pytestmark = FLOW


@pytest.fixture(scope="module")
def sa(platform: Platform) -> dict[str, str]:
    """The headers of the installation's super admin."""
    password = platform_secrets(platform.data_dir / "secrets.env")["SUPER_ADMIN_PASSWORD"]
    return bearer(platform.client().auth.login(DEFAULT_SUPER_ADMIN, password)["access_token"])


@pytest.fixture(scope="module")
def founder(platform: Platform) -> Owner:
    """A company of these tests' own: it goes out of use in between."""
    return platform.found_company()


def test_profile_and_logo(founder: Owner, tmp_path: Path) -> None:
    companies = founder.client.companies
    assert companies.get_company()["id"] == founder.company_id
    assert companies.update_company(founder.company_id, {"phone": "+1 555 0100"})["data"]["phone"] == "+1 555 0100"

    path = tmp_path / "logo.jpg"
    Image.new("RGB", (900, 300), "teal").save(path)
    updated = companies.update_company(founder.company_id, {"industry": "Pumps"}, logo_path=path)
    assert (updated["company"]["industry"], updated["company"]["phone"]) == ("Pumps", "+1 555 0100")
    logo = requests.get(updated["company"]["logo"], timeout=10)
    assert (logo.status_code, logo.headers["Content-Type"]) == (200, "image/png")

    assert companies.patch_company(founder.company_id, {"name": "Pumps & Co"})["success"] is True
    assert companies.get_company(headers=founder.jwt)["name"] == "Pumps & Co"
    (tmp_path / "logo.svg").write_text("<svg/>")
    error = refused(companies.update_company, founder.company_id, {}, logo_path=tmp_path / "logo.svg")
    assert (error.status_code, error.message) == (
        400,
        "The logo cannot be read. Send a PNG, JPEG, WebP or GIF picture.",
    )


def test_archived_listed_and_restored_with_the_same_key(founder: Owner, owner: Owner) -> None:
    companies, own = founder.client.companies, founder.company_id
    assert refused(companies.delete_company, owner.company_id).status_code == 404
    companies.delete_company(own)

    assert refused(companies.get_company).status_code == 401
    assert refused(founder.client.agents.list_agents).status_code == 401
    assert [row["id"] for row in companies.list_deleted_companies()["deleted_companies"]] == [own]
    assert companies.restore_company(own)["id"] == own
    assert companies.get_company()["id"] == own
    assert companies.list_deleted_companies()["deleted_companies"] == []


def test_two_are_archived_and_restored_at_once(platform: Platform, founder: Owner, sa: dict[str, str]) -> None:
    public = platform.client()
    other = public.companies.create_company({"name": "Other", "email": f"other-{founder.company_id}@example.org"})
    ids = [founder.company_id, other["id"]]
    assert public.companies.bulk_delete_companies(ids, headers=sa)["deleted"] == 2
    listed = public.companies.list_deleted_companies(headers=sa)["deleted_companies"]
    assert {row["id"] for row in listed} >= set(ids)
    assert public.companies.bulk_restore_companies(ids, headers=sa)["restored"] == 2
    assert founder.client.companies.bulk_delete_companies([founder.company_id])["deleted"] == 1
    assert founder.client.companies.bulk_restore_companies([founder.company_id])["restored"] == 1
    assert founder.client.companies.get_company()["id"] == founder.company_id


def test_super_admin_pages_through_companies(platform: Platform, founder: Owner, sa: dict[str, str]) -> None:
    page = platform.client().companies.list_companies(page=1, per_page=2, headers=sa)
    assert (len(page["companies"]), page["pagination"]["current_page"], page["pagination"]["has_next"]) == (2, 1, True)
    assert refused(founder.client.companies.list_companies).status_code == 403


def test_super_admin_deletes_a_company_for_good(platform: Platform, owner: Owner, sa: dict[str, str]) -> None:
    doomed = platform.found_company()
    agent_id = doomed.create_agent("Doomed")
    doomed.start_conversation(agent_id)
    companies = platform.client().companies
    summary = companies.get_related_data_summary(doomed.company_id, headers=sa)
    assert {name: summary["related_data"][name] for name in ("agents", "conversations", "users")} == {
        "agents": 1,
        "conversations": 1,
        "users": 1,
    }
    assert refused(doomed.client.companies.get_related_data_summary, doomed.company_id).status_code == 403
    error = refused(companies.cascade_delete_company, doomed.company_id, headers=sa)
    assert (error.status_code, "agents (1)" in error.message) == (409, True)
    assert doomed.client.companies.get_company()["id"] == doomed.company_id

    assert companies.cascade_delete_company(doomed.company_id, delete_related=True, headers=sa)["success"] is True

    assert refused(doomed.client.companies.get_company).status_code == 401
    assert platform.get(f"/api/v1/agent/{agent_id}").status_code == 404
    assert platform.get(f"/api/v1/company/{doomed.company_id}", headers=sa).status_code == 404

    def is_purged() -> bool:
        """With the people their e-mail address goes, so it can be used again: the last step is done."""
        person = {"company_name": "Next", "password": "correct-horse-battery", "first_name": "A", "last_name": "B"}
        return platform.post("/api/v1/auth/register", json={"email": doomed.email, **person}).status_code == 201

    wait_for(is_purged, seconds=60, pause=1)
    assert not list(platform.data_dir.glob(f"uploads/c_{doomed.company_id.replace('-', '')}*"))
    assert owner.client.companies.get_company()["id"] == owner.company_id
