"""Shapes of the accounts API."""

from typing import ClassVar

from rest_framework import serializers

from accounts.core.roles import Role
from accounts.models import ApiKey, AuditEntry, TradingAccount, User

ROLES = [(role.value, role.name) for role in Role]


class ProblemSerializer(serializers.Serializer[object]):
    """RFC 9457, with a stable `code`; `errors` names the fields of bad input."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    request_id = serializers.CharField(required=False, allow_blank=True)
    errors = serializers.JSONField(required=False)  # type: ignore[assignment]
    details = serializers.DictField(child=serializers.CharField(), required=False)


class LoginSerializer(serializers.Serializer[object]):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=256, trim_whitespace=False, write_only=True)
    code = serializers.CharField(max_length=16, required=False, allow_blank=True, write_only=True, default="")


class RefreshSerializer(serializers.Serializer[object]):
    refresh = serializers.CharField(max_length=2000, write_only=True)


class TokenPairSerializer(serializers.Serializer[object]):
    access = serializers.CharField()
    refresh = serializers.CharField()
    access_expires_s = serializers.IntegerField()


class CodeSerializer(serializers.Serializer[object]):
    code = serializers.CharField(max_length=16, write_only=True)


class DeviceSetUpSerializer(serializers.Serializer[object]):
    secret = serializers.CharField()
    uri = serializers.CharField()


class RecoveryCodesSerializer(serializers.Serializer[object]):
    recovery_codes = serializers.ListField(child=serializers.CharField())


class UserSerializer(serializers.ModelSerializer[User]):
    role = serializers.ChoiceField(choices=ROLES, read_only=True, allow_null=True)
    has_device = serializers.BooleanField(read_only=True)

    class Meta:
        model = User
        fields: tuple[str, ...] = (
            "id",
            "email",
            "name",
            "role",
            "is_active",
            "has_device",
            "created_at",
            "deactivated_at",
            "last_login",
        )
        read_only_fields: tuple[str, ...] = fields


class UserWithLinkSerializer(UserSerializer):
    """`link`: the one-time link where it could not be mailed, else null. It opens the account: hand it over."""

    link = serializers.CharField(read_only=True, allow_null=True)

    class Meta(UserSerializer.Meta):
        fields = (*UserSerializer.Meta.fields, "link")
        read_only_fields = fields


class UserCreateSerializer(serializers.Serializer[object]):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=ROLES)
    name = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")


class UserPatchSerializer(serializers.Serializer[object]):
    """Only what is given changes. `reset_device` and `reset_password` are requests, not fields."""

    role = serializers.ChoiceField(choices=ROLES, required=False)
    name = serializers.CharField(max_length=120, required=False, allow_blank=True)
    is_active = serializers.BooleanField(required=False)
    reset_device = serializers.BooleanField(required=False)
    reset_password = serializers.BooleanField(required=False)
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class AccountSerializer(serializers.ModelSerializer[TradingAccount]):
    class Meta:
        model = TradingAccount
        fields = ("id", "label", "environment", "hedge_mode", "active", "created_at")
        read_only_fields = fields


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """Never the secret, nor its ciphertext."""

    environment = serializers.CharField(source="account.environment", read_only=True)

    class Meta:
        model = ApiKey
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "account",
            "environment",
            "label",
            "key_id",
            "read_only",
            "ip_bound",
            "active",
            "created_at",
            "deactivated_at",
            "last_used_at",
        )
        read_only_fields = fields


class AddedKeySerializer(ApiKeySerializer):
    """What the trial call found: no IP binding, read only."""

    warnings = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "warnings")
        read_only_fields = fields


class ApiKeyCreateSerializer(serializers.Serializer[object]):
    account = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    label = serializers.CharField(max_length=60)  # type: ignore[assignment]
    key_id = serializers.RegexField(r"^[A-Za-z0-9]{8,80}$")
    secret = serializers.RegexField(r"^[A-Za-z0-9]{8,200}$", write_only=True)
    replace = serializers.BooleanField(required=False, default=False, help_text="rotate: the active key is replaced")


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    actor = serializers.SerializerMethodField()
    before = serializers.DictField(read_only=True, allow_null=True)
    after = serializers.DictField(read_only=True, allow_null=True)
    seq = serializers.IntegerField(source="link.seq", read_only=True, default=None, allow_null=True)
    hash = serializers.CharField(source="link.hash", read_only=True, default=None, allow_null=True)

    class Meta:
        model = AuditEntry
        fields = (
            "id",
            "at",
            "actor",
            "action",
            "object_type",
            "object_id",
            "before",
            "after",
            "reason",
            "ip",
            "otp_used",
            "seq",
            "hash",
        )
        read_only_fields = fields

    def get_actor(self, entry: AuditEntry) -> str:
        return entry.actor.email if entry.actor else entry.actor_name


class ChainSerializer(serializers.Serializer[object]):
    good = serializers.BooleanField()
    checked = serializers.IntegerField()
    anchor = serializers.CharField()
    first_bad_seq = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField(allow_null=True)
