"""Columns of the admin are named in words, with their units, in both languages."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.test import RequestFactory
from django.utils import translation

from avigrid.common.admin_pages import ReadOnlyAdmin
from trading.admin.history import LABELS

PAGES = [
    page
    for model, page in admin.site._registry.items()
    if model._meta.app_label == "trading" and isinstance(page, ReadOnlyAdmin)
]
FOR_PROGRAMS = re.compile(r"(?<!, )\b(usd|bps|ms|ratio|r)$|\b(idx|qty|pnl|avg|seq)\b|\bid$")


def labels(page: Any) -> set[str]:
    request = RequestFactory().get("/admin/")
    columns = [*page.get_list_display(request), *ReadOnlyAdmin.get_fields(page, request)]
    return {str(label_for_field(column, page.model, page)) for column in columns}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.opts.model_name)
def test_no_column_is_named_for_programs(page: Any) -> None:
    assert {label for label in labels(page) if FOR_PROGRAMS.search(label)} == set()


def test_every_name_belongs_to_a_column_and_has_its_russian() -> None:
    columns = {field.name for page in PAGES for field in page.opts.fields}
    assert set(LABELS) - columns == set()
    english = {name: str(words) for name, words in LABELS.items()}
    with translation.override("ru"):
        untold = {name for name, words in LABELS.items() if str(words) == english[name]}
    assert untold == {"r_usd"}  # says the same in both
