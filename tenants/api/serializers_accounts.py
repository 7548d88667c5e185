"""Mailed links and invitations."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from tenants.enums import INVITED_ROLES
from tenants.models import Invitation


class EmailInput(serializers.Serializer[Any]):
    email = serializers.EmailField()


class TokenInput(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200)


class PasswordResetInput(TokenInput):
    password = serializers.CharField(max_length=200, trim_whitespace=False)


class PasswordChange(serializers.Serializer[Any]):
    current_password = serializers.CharField(max_length=200, trim_whitespace=False)
    new_password = serializers.CharField(max_length=200, trim_whitespace=False)


class EmailChange(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=200, trim_whitespace=False, help_text="The current one.")


class InvitationInput(serializers.Serializer[Any]):
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=INVITED_ROLES, required=False)


class AcceptInput(TokenInput):
    password = serializers.CharField(min_length=8, max_length=200, trim_whitespace=False)
    first_name = serializers.CharField(max_length=100)
    last_name = serializers.CharField(max_length=100)
    username = serializers.CharField(max_length=150, required=False, allow_blank=True, default="")


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    status = serializers.CharField(read_only=True)
    invited_by = serializers.SerializerMethodField()

    class Meta:
        model = Invitation
        fields = (
            "id", "email", "role", "status", "invited_by", "expires_at", "sent_at", "accepted_at", "revoked_at",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_invited_by(self, invitation: Invitation) -> str | None:
        """The inviter's e-mail address."""
        return invitation.invited_by.email if invitation.invited_by else None
