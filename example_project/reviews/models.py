"""What customers say about the products they bought."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from example_project.catalog.models import Product
from example_project.customers.models import Customer


class Review(models.Model):
    product = models.ForeignKey(Product, models.CASCADE, related_name="reviews")
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="reviews")
    rating = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=120)
    body = models.TextField(blank=True)
    helpful_to = models.ManyToManyField(Customer, blank=True, related_name="+")
    author_ip = models.GenericIPAddressField(protocol="IPv4", null=True, blank=True)
    published_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "customer"], name="review_once"),
            models.CheckConstraint(
                condition=models.Q(rating__range=(1, 5)), name="review_one_to_five_stars"
            ),
        ]
        indexes = [
            models.Index(
                models.F("product"), models.F("rating").desc(), name="review_best_of_product"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class ReviewPhoto(models.Model):
    review = models.ForeignKey(Review, models.CASCADE, related_name="photos")
    position = models.PositiveSmallIntegerField(default=1)
    thumbnail = models.BinaryField()
    caption = models.CharField(max_length=120, blank=True, db_default="")

    class Meta:
        constraints = [
            # Deferred, so that two photos can change places in one transaction.
            models.UniqueConstraint(
                fields=["review", "position"],
                deferrable=models.Deferrable.DEFERRED,
                name="review_photo_position",
            ),
        ]

    def __str__(self) -> str:
        return self.caption or f"Photo {self.position}"
