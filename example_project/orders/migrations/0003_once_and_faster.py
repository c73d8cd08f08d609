"""No payment twice, none before its order, and indexes for the order lists."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0003_fill_slug_and_search"),
        ("customers", "0003_once_and_faster"),
        ("orders", "0002_payments"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["-placed_at"], name="order_newest"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                fields=["customer", "-placed_at"], include=("total",), name="order_of_customer"
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(("status", 1)), fields=["placed_at"], name="order_still_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("paid_at__isnull", True),
                    ("paid_at__gte", models.F("placed_at")),
                    _connector="OR",
                ),
                name="order_paid_after_placed",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                fields=("order", "provider", "provider_reference"),
                name="payment_once",
                nulls_distinct=False,
            ),
        ),
    ]
