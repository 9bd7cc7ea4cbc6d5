"""users: for admins."""

from typing import Any, ClassVar

import django_filters
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.caller import caller
from accounts.api.lists import checked
from accounts.api.schema import OTP_HEADER, problems
from accounts.api.serializers import UserCreateSerializer, UserPatchSerializer, UserSerializer, UserWithLinkSerializer
from accounts.core.roles import Role
from accounts.models import OneTimeLink, TotpDevice, User
from accounts.services.links import SentLink, link_send
from accounts.services.second_factor import device_remove
from accounts.services.users import user_create, user_deactivate, user_reactivate, user_rename, user_role_set
from avigrid.common.api_pages import NewestFirst


class UserFilter(django_filters.FilterSet):
    class Meta:
        model = User
        fields: ClassVar = {"is_active": ["exact"]}


@extend_schema_view(
    list=extend_schema(operation_id="users_list", responses={200: UserSerializer(many=True), **problems(400, 404)}),
    retrieve=extend_schema(operation_id="users_read", responses={200: UserSerializer, **problems(404)}),
)
class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[User]):
    access: ClassVar = {
        "list": "users.read",
        "retrieve": "users.read",
        "create": "users.change",
        "partial_update": "users.change",
    }
    serializer_class = UserSerializer
    pagination_class = NewestFirst
    filterset_class = UserFilter
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[User]:
        device = TotpDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        return User.objects.prefetch_related("groups").annotate(has_device=Exists(device))

    @extend_schema(
        operation_id="users_create",
        parameters=[OTP_HEADER],
        request=UserCreateSerializer,
        responses={201: UserWithLinkSerializer, **problems(400, 409, 415)},
    )
    def create(self, request: Request) -> Response:
        """The new person gets a one-time link by e-mail to choose a password. Where no mail could be sent, the answer
        holds the link, once, to be handed over in person."""
        given = checked(UserCreateSerializer, request)
        user = user_create(
            email=given["email"], role=Role(given["role"]), name=given["name"], actor=caller(request), otp_used=True
        )
        sent = self._send_link(request, user, OneTimeLink.Purpose.ACTIVATE)
        return Response(self._shape(user.pk, sent), status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="users_change",
        parameters=[OTP_HEADER],
        request=UserPatchSerializer,
        responses={200: UserWithLinkSerializer, **problems(400, 404, 409, 415)},
    )
    def partial_update(self, request: Request, pk: int) -> Response:
        """Role, name, deactivation, and resets of device and password: all of what is asked, or nothing."""
        user = self.get_object()
        given = checked(UserPatchSerializer, request)
        with transaction.atomic():
            sent = self._change(request, user, given)
        return Response(self._shape(user.pk, sent))

    def _change(self, request: Request, user: User, given: dict[str, Any]) -> SentLink | None:
        actor = caller(request)
        if "role" in given:
            user_role_set(user=user, role=Role(given["role"]), actor=actor, otp_used=True)
        if given.get("is_active") is False:
            user_deactivate(user=user, actor=actor, reason=given["reason"], otp_used=True)
        if given.get("is_active") is True:
            user_reactivate(user=user, actor=actor, otp_used=True)
        if "name" in given:  # after what locks admins in an order of its own
            user_rename(user=user, name=given["name"], actor=actor, otp_used=True)
        if given.get("reset_device"):
            device_remove(user=user, actor=actor, reason=given["reason"], otp_used=True)
        if given.get("reset_password"):
            return self._send_link(request, user, OneTimeLink.Purpose.RESET)
        return None

    def _send_link(self, request: Request, user: User, purpose: OneTimeLink.Purpose) -> SentLink:
        base_url = request.build_absolute_uri("/")
        return link_send(user=user, purpose=purpose, actor=caller(request), base_url=base_url, otp_used=True)

    def _shape(self, user_id: int, sent: SentLink | None) -> Any:
        link = sent.to_hand_over if sent else None
        return {**UserSerializer(self.get_queryset().get(pk=user_id)).data, "link": link}
