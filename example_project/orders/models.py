"""What customers buy and how they pay."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now

from example_project.catalog.models import Product
from example_project.customers.models import Address, Customer


class Order(models.Model):
    class Status(models.IntegerChoices):
        OPEN = 1
        PAID = 2
        SHIPPED = 3
        CANCELLED = 9

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveBigIntegerField(unique=True)
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    delivery_address = models.ForeignKey(
        Address, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    products = models.ManyToManyField(Product, through="OrderLine", related_name="orders")
    status = models.PositiveSmallIntegerField(choices=Status, default=Status.OPEN)
    total = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    note = models.TextField(blank=True, default="")
    time_to_ship = models.DurationField(null=True, blank=True)
    placed_at = models.DateTimeField(db_default=Now())
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-placed_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(paid_at__isnull=True)
                | models.Q(paid_at__gte=models.F("placed_at")),
                name="order_paid_after_placed",
            ),
        ]
        indexes = [
            models.Index(fields=["-placed_at"], name="order_newest"),
            models.Index(
                fields=["customer", "-placed_at"], include=["total"], name="order_of_customer"
            ),
            models.Index(
                fields=["placed_at"], condition=models.Q(status=1), name="order_still_open"
            ),
        ]

    def __str__(self) -> str:
        return f"Order {self.number}"


class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, related_name="order_lines")
    quantity = models.PositiveIntegerField(default=1)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)
    amount = models.GeneratedField(
        expression=models.F("quantity") * models.F("unit_price"),
        output_field=models.DecimalField(max_digits=14, decimal_places=2),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "product"], name="order_line_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="order_line_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"


class Payment(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="payments")
    provider = models.CharField(max_length=20)
    provider_reference = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - none yet
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    response = models.JSONField(null=True, blank=True)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order", "provider", "provider_reference"],
                nulls_distinct=False,
                name="payment_once",
            ),
        ]
        get_latest_by = "received_at"

    def __str__(self) -> str:
        return f"{self.amount} by {self.provider}"
