"""Customers: who they are, where they live, what they have collected."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower, Now


class Customer(models.Model):
    class Level(models.IntegerChoices):
        NEW = 1
        REGULAR = 2
        VALUED = 3

    reference = models.UUIDField(
        unique=True, editable=False, db_default=RandomUUID(), db_comment="What partners know us by"
    )
    email = models.EmailField()
    name = models.CharField(max_length=150)
    level = models.PositiveSmallIntegerField(choices=Level, default=Level.NEW)
    preferences = models.JSONField(default=dict, blank=True)
    interests = ArrayField(models.CharField(max_length=30), default=list, blank=True)
    referred_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="referrals"
    )
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_seen_ip = models.GenericIPAddressField(null=True, blank=True)
    joined_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table_comment = "Everybody who ever had an account"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="customer_email_once"),
        ]
        indexes = [
            GinIndex(fields=["interests"], name="customer_interests"),
            GinIndex(
                fields=["preferences"], opclasses=["jsonb_path_ops"], name="customer_preferences"
            ),
            models.Index(
                fields=["-last_seen_at"],
                condition=models.Q(last_seen_at__isnull=False),
                name="customer_recently_seen",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BusinessCustomer(Customer):
    company = models.CharField(max_length=200)
    vat_number = models.CharField(max_length=20, blank=True)
    payment_term = models.DurationField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["vat_number"], condition=~models.Q(vat_number=""), name="business_vat_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.company} ({self.name})"


class Address(models.Model):
    class Kind(models.TextChoices):
        BILLING = "billing"
        DELIVERY = "delivery"

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="addresses")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.DELIVERY)
    lines = ArrayField(models.CharField(max_length=100), size=4)
    postcode = models.CharField(max_length=12)
    city = models.CharField(max_length=80)
    country = models.CharField(max_length=2, help_text="ISO 3166-1, two letters")
    is_default = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "kind"],
                condition=models.Q(is_default=True),
                name="address_one_default",
            ),
            models.CheckConstraint(
                condition=models.Q(country__regex="^[A-Z]{2}$"), name="address_country_code"
            ),
        ]
        indexes = [models.Index(fields=["country", "postcode"], name="address_place")]

    def __str__(self) -> str:
        return f"{', '.join(self.lines)}, {self.postcode} {self.city}"


class LoyaltyCard(models.Model):
    customer = models.OneToOneField(
        Customer, models.CASCADE, primary_key=True, related_name="loyalty_card"
    )
    number = models.CharField(max_length=16, unique=True)
    points = models.IntegerField(db_default=0)
    discount_percent = models.GeneratedField(
        expression=models.Case(
            models.When(points__gte=1000, then=10), models.When(points__gte=100, then=5), default=0
        ),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(points__gte=0), name="loyalty_points_owned"),
        ]

    def __str__(self) -> str:
        return self.number
