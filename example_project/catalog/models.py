"""What the shop sells, and when it sells it cheaper."""

from __future__ import annotations

import uuid

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.functions import Lower, Now


class Category(models.Model):
    name = models.CharField(max_length=80)
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, related_name="children"
    )
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name_plural = "categories"
        ordering = ["position", "name"]
        constraints = [
            # Top categories have no parent, and NULLs are distinct otherwise.
            models.UniqueConstraint(
                fields=["parent", "name"], nulls_distinct=False, name="category_name_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Brand(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    website = models.URLField(blank=True)
    logo = models.BinaryField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    slug = models.SlugField(unique=True)

    def __str__(self) -> str:
        return self.slug


class Product(models.Model):
    class Status(models.IntegerChoices):
        DRAFT = 0
        ON_SALE = 1
        DISCONTINUED = 2

    sku = models.CharField("SKU", max_length=20, unique=True)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=220, blank=True)
    description = models.TextField(blank=True)
    category = models.ForeignKey(Category, models.PROTECT, related_name="products")
    brand = models.ForeignKey(
        Brand, models.SET_NULL, null=True, blank=True, related_name="products"
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="products")
    status = models.PositiveSmallIntegerField(choices=Status, default=Status.DRAFT)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    cost = models.DecimalField(
        max_digits=10, decimal_places=2, null=True, blank=True, db_comment="What we pay, before tax"
    )
    margin = models.GeneratedField(
        expression=models.F("price") - models.F("cost"),
        output_field=models.DecimalField(max_digits=11, decimal_places=2),
        db_persist=True,
    )
    stock = models.IntegerField(default=0)
    attributes = models.JSONField(default=dict, blank=True)
    search = SearchVectorField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(price__gte=0), name="product_price_paid"),
            models.UniqueConstraint(
                fields=["slug"], condition=~models.Q(slug=""), name="product_slug_once"
            ),
        ]
        indexes = [
            models.Index(Lower("name"), name="product_name_lower"),
            models.Index(fields=["-created_at"], name="product_newest"),
            models.Index(
                fields=["category", "price"], include=["name", "sku"], name="product_price_list"
            ),
            models.Index(
                fields=["stock"], condition=models.Q(status=1, stock__lt=5), name="product_scarce"
            ),
            GinIndex(fields=["search"], name="product_search"),
            GinIndex(fields=["attributes"], name="product_attributes"),
        ]

    def __str__(self) -> str:
        return self.name


class SalePeriod(models.Model):
    name = models.CharField(max_length=80)
    period = DateTimeRangeField()
    discount_percent = models.PositiveSmallIntegerField(validators=[MaxValueValidator(90)])
    categories = models.ManyToManyField(Category, blank=True, related_name="sale_periods")

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="sale_periods_apart",
                expressions=[("period", RangeOperators.OVERLAPS)],
                violation_error_message="There is a sale at that time already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name
