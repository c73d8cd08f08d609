"""The base of all pages of the ledger: they only read, check permissions, and do not fail if tables
are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.apps.registry import Apps
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.utils.text import capfirst

from zanith_django.postgres.rows import one_value

if TYPE_CHECKING:
    from zanith_django.ledger.ledger import Ledger

TEMPLATES = "zanith_django/admin"

DATABASE = "database"
"""The parameter of an address that names a database."""

# Given as media, not by a tag of our own: so Django 6.1 adds the nonce that a CSP may ask for.
STYLE: dict[str, Sequence[str]] = {"all": ["zanith_django/admin.css"]}
SCRIPT: Sequence[str] = ["zanith_django/admin.js"]
MEDIA = Media(css=STYLE, js=SCRIPT)

# Times of which Django can list years and months; PostgreSQL has earlier and later ones.
LISTED_TIMES = (datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC))


def stand_ins() -> Apps:
    """A registry for models that represent others in the admin, where no migration, content type
    or permission comes of them. Themes ask them for the app that they belong to."""
    registry, label = Apps(), "zanith_django"
    registry.app_configs[label] = apps.get_app_config(label)
    return registry


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


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of pages in one admin site, and what its user may see. Each is about the
    database that the address of the request names."""

    site: str
    user: Any
    database: str = ""

    def may(self, permission: str) -> bool:
        """`view_sql`, `restore_artifact`, … of this app."""
        return bool(self.user.has_perm(f"zanith_django.{permission}"))

    def may_view(self, model: type[models.Model]) -> bool:
        """Whether the user may see rows of this table on the page of another."""
        return self.may(f"view_{model._meta.model_name}")

    def page(self, name: str, /, *keys: str, **query: str | list[str]) -> str:
        """The address of a page by its name; "" for a row without a key, which has none."""
        if not all(keys):
            return ""
        args = [quote(key) for key in keys]
        path = reverse(f"admin:zanith_django_{name}", args=args, current_app=self.site)
        named = {DATABASE: self.database} if self.database else {}
        return f"{path}?{text}" if (text := urlencode({**query, **named}, doseq=True)) else path

    def list(self, model: type[models.Model], /, **query: str | list[str]) -> str:
        return self.page(f"{model._meta.model_name}_changelist", **query)

    def detail(self, model: type[models.Model], *keys: str) -> str:
        return self.page(f"{model._meta.model_name}_change", *keys)

    def detail_if_seen(self, model: type[models.Model], *keys: str) -> str:
        return self.detail(model, *keys) if self.may_view(model) else ""


class SitePages:
    """The base of the pages of one admin site: permissions and rendering."""

    admin_site: admin.AdminSite
    opts: Any

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def links(self, request: HttpRequest) -> Links:
        return Links(self.admin_site.name, request.user, named_database(request))

    def render(
        self, request: HttpRequest, template: str, title: object, context: dict[str, Any]
    ) -> HttpResponse:
        links = self.links(request)
        base = {
            **self.admin_site.each_context(request),
            "title": str(title),
            "opts": self.opts,
            "app_label": self.opts.app_label,
            "media": MEDIA,
            "may_sql": links.may("view_sql"),
            "list_url": links.list(self.opts.model),
            "named_database": links.database,
        }
        request.current_app = self.admin_site.name  # as Django's own views do
        return TemplateResponse(request, f"{TEMPLATES}/{template}.html", {**base, **context})

    def nothing_to_read(self, request: HttpRequest, alias: str) -> HttpResponse | None:
        """The page that explains why there is nothing to show: another database, or no tables."""
        vendor = connections[alias].vendor
        if vendor == "postgresql" and _tables_exist(alias):
            return None
        context = {"alias": alias, "vendor": vendor}
        title = capfirst(self.opts.verbose_name_plural)
        return self.render(request, "no_tables", title, context)


class LedgerList(ChangeList):
    """A list of the rows that the database in the address has."""

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name != DATABASE}

    def url_for_result(self, result: Any) -> str:
        named = self.params.get(DATABASE)
        address: str = super().url_for_result(result)
        return f"{address}?{urlencode({DATABASE: named})}" if named else address


class LedgerAdmin(SitePages, admin.ModelAdmin):
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
        js = SCRIPT

    def get_urls(self) -> list[URLPattern]:
        return [
            self.url("", self.changelist_view, "changelist"),
            *self.own_urls(),
            self.url("<path:object_id>/change/", self.change_view, "change"),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LedgerList

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return super().get_queryset(request).using(self.alias(request))

    def own_urls(self) -> list[URLPattern]:
        """Pages beside the list and the detail page."""
        return []

    def url(self, route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
        full = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(view), name=full)

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
        row = self.row(request, clean(unquote(object_id)))
        return self.detail(request, row, self.detail_context(request, row))

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a detail page; raises Http404."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id!r}.")
        return row

    def detail(self, request: HttpRequest, row: Any, context: dict[str, Any]) -> HttpResponse:
        base = {"row": row, "has_view_permission": True}
        return self.render(request, self.detail_template, row, {**base, **context})

    def list_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the template of the list gets beside what Django gives it."""
        return {
            "title": capfirst(self.opts.verbose_name_plural),
            "alias": self.alias(request),
            "aliases": aliases(),
            "typed": {},  # the values of filters that are typed above the list
        }

    def detail_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the template of the detail page gets beside `row`."""
        return {}

    def refusal(
        self, request: HttpRequest, methods: Sequence[str] = ("GET", "HEAD")
    ) -> HttpResponse | None:
        """The response to a request that gets no page: forbidden, wrong method, or no tables to
        read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in methods:
            return HttpResponseNotAllowed(methods)
        return self.nothing_to_read(request, self.alias(request))

    def alias(self, request: HttpRequest) -> str:
        """The database that the ledger is read from."""
        return named_database(request) or router.db_for_read(self.model)

    def connection(self, request: HttpRequest) -> BaseDatabaseWrapper:
        return connections[self.alias(request)]

    def ledger(self, request: HttpRequest) -> Ledger:
        """Every page has looked whether its tables exist."""
        from zanith_django.ledger.ledger import Ledger  # heavy; every process imports the admin

        return Ledger(self.connection(request)).known()


def aliases() -> list[str]:
    """The databases that a page may be about."""
    return [alias for alias in connections if connections[alias].vendor == "postgresql"]


def named_database(request: HttpRequest) -> str:
    """The database that the address names, or ""; one that the settings do not have is not
    found."""
    name = request.GET.get(DATABASE, "")
    if name and name not in list(connections):
        raise Http404(f"DATABASES has no {name!r}.")
    return name


def cell(name: str, **context: Any) -> str:
    """A cell of a list from its template: HTML is written in templates only."""
    return render_to_string(f"{TEMPLATES}/cells/{name}.html", context)


def pretty(data: Any) -> str:
    """JSON for people."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)


def clean(key: str) -> str:
    """Raises Http404 for a key that PostgreSQL cannot hold."""
    if "\0" in key:
        raise Http404
    return key


def _tables_exist(alias: str) -> bool:
    query = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name"
    models = apps.get_app_config("zanith_django").get_models()
    return bool(one_value(connections[alias], query, [[each._meta.db_table for each in models]]))
