"""audit: search, export, proof."""

import csv
import io
import json
from collections.abc import Iterator
from typing import ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.audit_filter import AuditFilter
from accounts.api.caller import caller
from accounts.api.schema import problems
from accounts.api.serializers import AuditEntrySerializer, ChainSerializer
from accounts.models import AuditEntry
from accounts.selectors.audit_chain import verify_chain
from accounts.services.audit import audit
from avigrid.common.api_pages import NewestFirst

_COLUMNS = (
    "id", "at", "actor", "action", "object_type", "object_id", "before", "after", "reason", "ip", "otp_used", "seq",
    "hash",
)  # fmt: skip


@extend_schema_view(
    list=extend_schema(
        operation_id="audit_list", responses={200: AuditEntrySerializer(many=True), **problems(400, 404)}
    ),
    retrieve=extend_schema(operation_id="audit_read", responses={200: AuditEntrySerializer, **problems(404)}),
)
class AuditViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[AuditEntry]):
    access: ClassVar = {
        "list": "audit.read",
        "retrieve": "audit.read",
        "export": "audit.read",
        "verify": "audit.read",
    }
    serializer_class = AuditEntrySerializer
    pagination_class = NewestFirst
    filterset_class = AuditFilter
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.select_related("actor", "link")

    @extend_schema(
        operation_id="audit_export",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR), **problems(400)},
    )
    @action(detail=False, pagination_class=None)
    def export(self, request: Request) -> StreamingHttpResponse:
        """CSV of what the filters select, oldest first, of any length."""
        entries = self.filter_queryset(self.get_queryset()).order_by("pk")
        asked = AuditFilter(request.query_params)
        asked.is_valid()  # filter_queryset has refused what is not; this fills in the values
        audit(actor=caller(request), action="audit.exported", after={"filters": asked.told()})
        response = StreamingHttpResponse(_csv(entries), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="audit.csv"'
        return response

    @extend_schema(operation_id="audit_verify", responses={200: ChainSerializer, **problems()}, filters=False)
    @action(detail=False, pagination_class=None)
    def verify(self, request: Request) -> Response:
        """Walks the whole chain."""
        report = verify_chain()
        bad = report.first_bad
        return Response(
            {
                "good": report.is_good,
                "checked": report.checked,
                "anchor": f"{report.head_seq}:{report.head_hash}",
                "first_bad_seq": bad.seq if bad else None,
                "problem": bad.problem if bad else None,
            }
        )


def _csv(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)

    def flush() -> str:
        text = line.getvalue()
        line.seek(0)
        line.truncate()
        return text

    writer.writerow(_COLUMNS)
    yield flush()
    for entry in entries.iterator(chunk_size=1000):
        row = AuditEntrySerializer(entry).data
        writer.writerow([_cell(row[column]) for column in _COLUMNS])
        yield flush()


def _cell(value: object) -> str:
    """Text that a spreadsheet does not take for a formula."""
    if value is None:
        return ""
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
