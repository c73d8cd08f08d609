"""Photos, and who found a review helpful; one to five stars."""

import django.db.models.constraints
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_slug_and_search"),
        ("customers", "0002_loyalty_and_last_seen"),
        ("reviews", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReviewPhoto",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveSmallIntegerField(default=1)),
                ("thumbnail", models.BinaryField()),
                ("caption", models.CharField(blank=True, db_default="", max_length=120)),
            ],
        ),
        migrations.AddField(
            model_name="review",
            name="author_ip",
            field=models.GenericIPAddressField(blank=True, null=True, protocol="IPv4"),
        ),
        migrations.AddField(
            model_name="review",
            name="helpful_to",
            field=models.ManyToManyField(blank=True, related_name="+", to="customers.customer"),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(
                models.F("product"),
                models.OrderBy(models.F("rating"), descending=True),
                name="review_best_of_product",
            ),
        ),
        migrations.AddConstraint(
            model_name="review",
            constraint=models.CheckConstraint(
                condition=models.Q(("rating__range", (1, 5))), name="review_one_to_five_stars"
            ),
        ),
        migrations.AddField(
            model_name="reviewphoto",
            name="review",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="photos",
                to="reviews.review",
            ),
        ),
        migrations.AddConstraint(
            model_name="reviewphoto",
            constraint=models.UniqueConstraint(
                deferrable=django.db.models.constraints.Deferrable["DEFERRED"],
                fields=("review", "position"),
                name="review_photo_position",
            ),
        ),
    ]
