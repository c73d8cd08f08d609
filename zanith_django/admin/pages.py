"""What every page of the ledger has in common: it reads, asks for permission, and never fails for
want of tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connections, models, router
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property

from zanith_django.postgres.rows import one_value

TEMPLATES = "zanith_django/admin"

# Given as media, not by a tag of our own: so Django 6.1 adds the nonce that a CSP may ask for.
STYLE: dict[str, Sequence[str]] = {"all": ["zanith_django/admin.css"]}


class CappedPaginator(Paginator):
    """Stops counting at `cap` rows: an exact count of a long table takes longer than its page."""

    cap = 100_000

    @cached_property
    def count(self) -> int:
        if isinstance(self.object_list, models.QuerySet):
            return self.object_list.order_by()[: self.cap].count()
        return len(self.object_list)

    @property
    def capped(self) -> bool:
        """There may be more rows than counted."""
        return self.count == self.cap


class LedgerAdmin(admin.ModelAdmin):
    """A list and a detail page over one table of the ledger.

    There are no other URLs: Django's pages to add, delete and see the history of an object would
    answer "forbidden" or nothing, and look an object up before they ask for a permission.
    """

    actions = None
    change_list_template = f"{TEMPLATES}/change_list.html"
    detail_template = ""
    list_per_page = 50
    paginator = CappedPaginator
    show_full_result_count = False

    class Media:
        css = STYLE

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        site, name = self.admin_site, f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path("", site.admin_view(self.changelist_view), name=f"{name}_changelist"),
            path(
                "<path:object_id>/change/",
                site.admin_view(self.change_view),
                name=f"{name}_change",
            ),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if refusal := self.refusal(request):
            return refusal
        context = {**self.list_context(request), **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The detail page; without Django's form, for nothing here can be changed."""
        if refusal := self.refusal(request):
            return refusal
        row = self.row(request, _clean(unquote(object_id)))
        return self.detail(request, row, self.detail_context(request, row))

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a detail page; raises Http404."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id!r}.")
        return row

    def detail(self, request: HttpRequest, row: Any, context: dict[str, Any]) -> HttpResponse:
        base = {
            **self.admin_site.each_context(request),
            "title": str(row),
            "opts": self.opts,
            "original": row,
            "change": True,
            "has_view_permission": True,
            "media": Media(css=STYLE),
        }
        return TemplateResponse(request, self.detail_template, {**base, **context})

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the template of the list gets beside what Django gives it."""
        return {"title": str(self.opts.verbose_name_plural).capitalize()}

    def detail_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the template of the detail page gets beside `original`."""
        return {}

    def refusal(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to a request that gets no page: forbidden, not to read, or nothing to read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        alias = router.db_for_read(self.model)
        vendor = connections[alias].vendor
        if vendor == "postgresql" and _tables_exist(alias):
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": str(self.opts.verbose_name_plural).capitalize(),
            "alias": alias,
            "vendor": vendor,
        }
        return TemplateResponse(request, f"{TEMPLATES}/no_tables.html", context)


def may_view(request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether the user may see rows of this table on the page of another."""
    return request.user.has_perm(f"zanith_django.view_{model._meta.model_name}")


def list_url(model: type[models.Model]) -> str:
    return reverse(f"admin:zanith_django_{model._meta.model_name}_changelist")


def detail_url(model: type[models.Model], *keys: str) -> str:
    """The address of a row; "" for a row without a name, which has no page."""
    if not all(keys):
        return ""
    name = f"admin:zanith_django_{model._meta.model_name}_change"
    return reverse(name, args=[quote(key) for key in keys])


def cell(name: str, **context: Any) -> str:
    """A cell of a list from its template: HTML is written in templates only."""
    return render_to_string(f"{TEMPLATES}/cells/{name}.html", context)


def pretty(data: Any) -> str:
    """JSON for people."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)


def _clean(key: str) -> str:
    """Raises Http404 for a key that PostgreSQL cannot hold."""
    if "\0" in key:
        raise Http404
    return key


def _tables_exist(alias: str) -> bool:
    query = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name"
    models = apps.get_app_config("zanith_django").get_models()
    return bool(one_value(connections[alias], query, [[each._meta.db_table for each in models]]))
