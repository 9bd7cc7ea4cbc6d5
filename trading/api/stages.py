"""config/versions/{id}/stage: where a version stands between validation and live, on which proof, and moving it."""

from typing import Any, ClassVar

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.caller import caller
from accounts.api.lists import checked
from accounts.api.schema import OTP_HEADER, problems
from trading.models import Stage, StageChange, StrategyVersion
from trading.selectors.stages import stage_changes, stage_in_force, standing_override
from trading.selectors.validation import validation_report
from trading.services.stages import change_stage, override_withdraw


class CheckSerializer(serializers.Serializer[object]):
    """One threshold; an unknown `value` (null) never passes."""

    name = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField()
    passed = serializers.BooleanField()
    sentence = serializers.CharField()


class StageChangeSerializer(serializers.ModelSerializer[StageChange]):
    class Meta:
        model = StageChange
        fields = ("id", "before", "after", "reason", "is_override", "changed_by", "changed_at", "ended_at")
        read_only_fields = fields


class OverrideSerializer(serializers.Serializer[object]):
    """Live without proof; `missing` names the thresholds that were not met."""

    reason = serializers.CharField()
    by = serializers.CharField()
    since = serializers.DateTimeField()
    missing = serializers.ListField(child=serializers.CharField())


class StageSerializer(serializers.Serializer[object]):
    """`in_force` is what the order path obeys. Counts are of the signals modelled with the backtest's fills."""

    version = serializers.IntegerField()
    stage = serializers.ChoiceField(choices=Stage.choices)
    in_force = serializers.ChoiceField(choices=Stage.choices)
    is_ready = serializers.BooleanField(help_text="every threshold for live is met")
    days = serializers.FloatField()
    trades = serializers.IntegerField()
    expectancy_r = serializers.FloatField(allow_null=True)
    sum_r = serializers.FloatField()
    checks = CheckSerializer(many=True)
    open = serializers.IntegerField()
    not_filled = serializers.IntegerField()
    skipped = serializers.IntegerField()
    override = OverrideSerializer(allow_null=True)
    changes = StageChangeSerializer(many=True)


class StageChangeRequestSerializer(serializers.Serializer[Any]):
    """`override`: go live although thresholds are missing; it is shown on the desk for as long as it stands."""

    stage = serializers.ChoiceField(choices=Stage.choices)
    reason = serializers.CharField(max_length=500)
    override = serializers.BooleanField(default=False)


class WithdrawSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class StageView(APIView):
    access: ClassVar = {"GET": "config.read", "POST": "stage.change"}

    @extend_schema(operation_id="config_versions_stage_read", responses={200: StageSerializer, **problems(404)})
    def get(self, request: Request, pk: int) -> Response:
        """Stage, thresholds with their values, standing override and every change so far."""
        return _answer(_version(pk))

    @extend_schema(
        operation_id="config_versions_stage_change",
        parameters=[OTP_HEADER],
        request=StageChangeRequestSerializer,
        examples=[
            OpenApiExample("to paper", {"stage": "paper", "reason": "decisions look right"}, request_only=True),
            OpenApiExample(
                "override",
                {"stage": "live", "reason": "smallest size, watched by two", "override": True},
                request_only=True,
            ),
        ],
        responses={200: StageSerializer, **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Up one step at a time; 409 `not_validated` names the thresholds missing. Downwards entries are cancelled."""
        version, asked = _version(pk), checked(StageChangeRequestSerializer, request)
        change_stage(version_id=version.pk, actor=caller(request), otp_used=True, now=timezone.now(), **asked)
        return _answer(_version(pk))


class StageWithdrawView(APIView):
    access: ClassVar = {"POST": "stage.change"}

    @extend_schema(
        operation_id="config_versions_stage_withdraw",
        parameters=[OTP_HEADER],
        request=WithdrawSerializer,
        examples=[OpenApiExample("withdraw", {"reason": "drawdown of the week"}, request_only=True)],
        responses={200: StageSerializer, **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, pk: int) -> Response:
        """The standing override ends: back to paper, mainnet gets no more entries. 409 `no_override` without one."""
        version, reason = _version(pk), checked(WithdrawSerializer, request)["reason"]
        override_withdraw(
            version_id=version.pk, actor=caller(request), reason=reason, otp_used=True, now=timezone.now()
        )
        return _answer(_version(pk))


def _version(pk: int) -> StrategyVersion:
    version = StrategyVersion.objects.filter(pk=pk).first()
    if version is None:
        raise Http404
    return version


def _answer(version: StrategyVersion) -> Response:
    report = validation_report(version)
    verdict = report.verdict
    body = {
        "version": version.pk,
        "stage": version.stage,
        "in_force": stage_in_force(version).value,
        "is_ready": verdict.is_ready,
        **{name: getattr(verdict, name) for name in ("days", "trades", "expectancy_r", "sum_r", "checks")},
        **{name: getattr(report, name) for name in ("open", "not_filled", "skipped")},
        "override": standing_override(version),
        "changes": stage_changes(version.pk)[:100],
    }
    return Response(StageSerializer(body).data)
