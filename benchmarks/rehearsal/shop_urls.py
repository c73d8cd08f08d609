"""Pages of the rehearsed shop: they read and write as the code of one release does."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path

from example_project.catalog.models import Product
from example_project.customers.models import Customer
from example_project.orders.models import Order, OrderLine


def newest(request: HttpRequest) -> JsonResponse:
    """A list, with what it joins."""
    orders = Order.objects.select_related("customer").order_by("-placed_at")[:20]
    return JsonResponse({"orders": [[str(o.pk), o.customer.name, str(o.total)] for o in orders]})


def detail(request: HttpRequest, number: int) -> JsonResponse:
    order = Order.objects.select_related("customer").get(number=number)
    lines = list(order.lines.select_related("product"))
    return JsonResponse({"status": order.status, "note": order.note, "lines": len(lines)})


@transaction.atomic
def place(request: HttpRequest, number: int) -> JsonResponse:
    """An order with a line: inserts into two tables, and reads two others."""
    product = Product.objects.get(pk=1 + number % 100)
    customer = Customer.objects.get(pk=1 + number % 1000)
    order = Order.objects.create(number=number, customer=customer, total=product.price)
    OrderLine.objects.create(order=order, product=product, unit_price=product.price)
    return JsonResponse({"order": str(order.pk)})


@transaction.atomic
def change(request: HttpRequest, number: int) -> JsonResponse:
    """All columns of an order that exists are written, as `save()` does."""
    order = Order.objects.select_for_update().get(number=number)
    order.total += Decimal("0.01")
    order.note = f"changed {random.randrange(1000)}"
    order.save()
    return JsonResponse({"total": str(order.total)})


def cancel(request: HttpRequest, number: int) -> JsonResponse:
    deleted, _ = Order.objects.filter(number=number, lines__isnull=True).delete()
    return JsonResponse({"deleted": deleted})


urlpatterns: list[Any] = [
    path("newest/", newest),
    path("detail/<int:number>/", detail),
    path("place/<int:number>/", place),
    path("change/<int:number>/", change),
    path("cancel/<int:number>/", cancel),
]
