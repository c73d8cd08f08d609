"""Loyalty cards, who brought whom, and when a customer was last seen."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="customer",
            name="last_seen_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="last_seen_ip",
            field=models.GenericIPAddressField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="customer",
            name="referred_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="referrals",
                to="customers.customer",
            ),
        ),
        migrations.CreateModel(
            name="LoyaltyCard",
            fields=[
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="loyalty_card",
                        serialize=False,
                        to="customers.customer",
                    ),
                ),
                ("number", models.CharField(max_length=16, unique=True)),
                ("points", models.IntegerField(db_default=0)),
                (
                    "discount_percent",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(points__gte=1000, then=10),
                            models.When(points__gte=100, then=5),
                            default=0,
                        ),
                        output_field=models.PositiveSmallIntegerField(),
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("points__gte", 0)), name="loyalty_points_owned"
                    )
                ],
            },
        ),
    ]
