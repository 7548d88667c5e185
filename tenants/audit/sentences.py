"""An event as a sentence. Names of events are `<entity>.<past tense>`, so that most sentences write themselves."""

from __future__ import annotations

from tenants.audit.models import AuditEvent

SHORT = {"api": "API", "llm": "LLM", "url": "URL", "id": "ID"}
PARTICLES = {"in", "out", "up", "on", "off"}
NOBODY = {"lead": "A visitor", "anonymous": "Somebody", "system": "The platform"}
# {who} did something to {what}; where the rule below would not say it well.
SENTENCES = {
    "user.signed_in": "{who} signed in",
    "user.signed_in_by_sso": "{who} signed in through the company's own provider",
    "user.sso_linked": "The account of {name} was linked to a person at the company's provider",
    "user.sso_unlinked": "{who} unlinked the account of {name} from the company's provider",
    "user.impersonation_started": "{who} began to act as {name}",
    "user.impersonation_ended": "{who} stopped acting as {name}",
    "user.signed_out": "{who} signed out",
    "user.signed_out_elsewhere": "{who} signed out everywhere else",
    "user.sign_in_failed": "Somebody tried to sign in as {name}",
    "user.locked": "The account of {name} was locked",
    "company.registered": "{who} registered the company {name}",
    "company.lead_encryption_changed": "{who} changed whether the data of leads are encrypted",
    "company.security_changed": "{who} changed how the people of the company sign in",
    "company.purge_started": "{who} began to delete the company {name} for good",
    "company.purged": "The company {name} was deleted for good",
    "company.verification_withdrawn": "{who} withdrew the verification of the company {name}",
    "company.claimed": "{who} became the first admin of the company {name}",
    "user.password_reset": "The password of {name} was reset by a mailed link",
    "user.password_reset_forced": "{who} had {name} choose a new password",
    "user.email_verified": "The e-mail address of {name} was confirmed",
    "user.email_change_asked": "{who} asked to change the own e-mail address",
    "config.removed": "{who} removed the configuration entry {name}",
    "user.email_changed": "The e-mail address of {name} was changed",
    "user.address_changed_mailed": "The change of the e-mail address was mailed to the old address of {name}",
    "user.verify_email_mailed": "A link to confirm the e-mail address was mailed to {name}",
    "user.reset_password_mailed": "A link to choose a new password was mailed to {name}",
    "user.forced_reset_mailed": "A link to choose a new password was mailed to {name}",
    "two_factor.set_up_started": "{who} began to set up two-factor sign-in",
    "two_factor.enabled": "{who} switched two-factor sign-in on",
    "two_factor.disabled": "{who} switched two-factor sign-in off",
    "two_factor.reset": "{who} reset the two-factor sign-in of {name}",
    "two_factor.recovery_code_used": "{who} used a recovery code",
    "two_factor.recovery_codes_renewed": "{who} renewed the recovery codes",
    "invitation.accepted": "{name} accepted an invitation",
    "invitation.mailed": "The invitation of {name} was mailed",
    "invitation.resent": "{who} sent the invitation of {name} again",
    "invitation.created": "{who} invited {name}",
    "invitation.revoked": "{who} revoked the invitation of {name}",
    "lead.registered": "A visitor {name} registered",
    "lead.returned": "A visitor {name} came back",
    "message.sent": "{who} sent a message in a conversation {name}",
    "conversation.created": "{who} began a conversation {name}",
    "conversation.archived": "{who} archived a conversation {name}",
    "conversation.restored": "{who} restored a conversation {name}",
    "conversations.closed": "{who} closed all conversations with {name}",
    "document_chunk.archived": "{who} archived passages of {name}",
    "document_chunk.restored": "{who} restored passages of {name}",
    "document_chunk.edited": "{who} edited a passage of {name}",
    "document_chunk.edit_undone": "{who} undid the edit of a passage of {name}",
    "document.purged": "{name} was deleted for good, as it was no longer to be kept",
    "documents.retention_changed": "{who} changed how long earlier versions and archived documents are kept",
    "document.superseded": "A new version took the place of {name}",
    "website_source.created": "{who} added the website {name}",
    "website_source.updated": "{who} changed the website {name}",
    "website_source.archived": "{who} deleted the website {name}",
    "website_source.restored": "{who} restored the website {name}",
    "website_source.crawl_requested": "{who} had the website {name} read",
    "website_source.crawl_stopped": "{who} stopped the reading of the website {name}",
    "website_source.crawled": "The pages of the website {name} were read",
    "audit_log.pruned": "The oldest rows of the audit log were removed",
    "audit_log.resealed": "The end of the audit log was sealed anew",
    "audit_log.retention_changed": "{who} changed how long the audit log is kept",
    "geography.completed": "{who} added what was missing to the countries and states",
    "catalogue.completed": "{who} added what was missing to the catalogue of models",
}
PLAIN = {"lead", "message", "conversation"}  # their label is a part of the sentence, not a name


def who_did(event: AuditEvent) -> str:
    who = event.actor_label or NOBODY.get(event.actor_kind, "Somebody")
    if event.actor_kind == "api_key":
        who = f"The API key “{who}”"
    return f"{event.impersonator_label or 'A super admin'} as {who}" if event.impersonator_id else who


def sentence(event: AuditEvent) -> str:
    """With a full stop, and with what the service had to add."""
    label = event.entity_label
    name = label if event.entity_type in PLAIN else f"“{label}”" if label else ""
    if event.event_type == "user.sign_in_failed" and not label:
        name = "an unknown address"
    pattern = SENTENCES.get(event.event_type) or f"{{who}} {_deed(event.event_type)} {{name}}"
    if label[:1].isdigit() and not event.entity_id:  # many at once, such as "3 documents"
        pattern, name = f"{{who}} {event.event_type.partition('.')[2].replace('_', ' ')} {{name}}", label
    text = " ".join(pattern.format(who=who_did(event), name=name).split())
    return f"{text}. {event.description}".strip()


def spelled(name: str) -> str:
    """The name of a field or a kind of thing in words."""
    return " ".join(SHORT.get(word, word) for word in name.split("_"))


def _deed(event_type: str) -> str:
    """`user.status_changed` is "changed the status of the user", `agent.updated` is "updated the agent"."""
    entity, _, verb = event_type.partition(".")
    entity, words = spelled(entity), verb.split("_")
    if not verb:
        return entity
    if words[-1] in PARTICLES:
        return f"{' '.join(words)} the {entity}"
    of = f"the {' '.join(words[:-1])} of " if words[:-1] else ""
    return f"{words[-1]} {of}the {entity}"
