"""A library on Django's models: something of every kind that a database can differ in."""

from __future__ import annotations

from django.contrib.postgres import fields as postgres, indexes
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import models
from django.db.models import F, Q, functions as sql

from tests.declared import Models, model, rendered, text
from zanith_django.constraints import Policy, RowSecurity


def library() -> Models:
    """The models of the library; tables are named `made_…`."""
    return rendered(
        model("Genre", id=models.AutoField(primary_key=True), name=text(unique=True)),
        model(
            "Author",
            {"db_table_comment": "Who wrote it"},
            name=models.CharField(max_length=100, db_index=True),
            email=models.EmailField(unique=True),
            country=models.CharField(max_length=2, db_comment="ISO 3166", db_default="DE"),
            born=models.DateField(null=True),
        ),
        model(
            "Book",
            {
                "unique_together": {("shelf", "place")},
                "indexes": [
                    models.Index(fields=["-published", "title"], name="book_newest"),
                    models.Index(sql.Upper("title"), name="book_upper"),
                    models.Index(
                        fields=["price"], condition=Q(lent=False), include=["title"], name="book_in"
                    ),
                    models.Index(
                        fields=["title"], opclasses=["varchar_pattern_ops"], name="book_pattern"
                    ),
                    indexes.GinIndex(fields=["data"], name="book_data"),
                    indexes.BTreeIndex(fields=["pages"], fillfactor=70, name="book_pages"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=Q(price__gte=0), name="book_price"),
                    models.UniqueConstraint(fields=["title", "author"], name="book_once"),
                    models.UniqueConstraint(fields=["shelf"], include=["title"], name="book_shelf"),
                    models.UniqueConstraint(
                        fields=["rank"], deferrable=models.Deferrable.DEFERRED, name="book_rank"
                    ),
                    models.UniqueConstraint(
                        fields=["place"], condition=Q(lent=False), name="book_place"
                    ),
                    models.UniqueConstraint(sql.Lower("title"), F("rank"), name="book_lower"),
                ],
            },
            title=models.CharField(max_length=200),
            pages=models.PositiveIntegerField(),
            price=models.DecimalField(max_digits=8, decimal_places=2),
            published=models.DateTimeField(db_default=sql.Now()),
            summary=models.TextField(db_collation="C"),
            blurb=models.TextField(),
            lent=models.BooleanField(db_default=False),
            rank=models.IntegerField(null=True),
            shelf=models.IntegerField(),
            place=models.IntegerField(),
            data=models.JSONField(null=True),
            length=models.GeneratedField(
                expression=sql.Length("title"),
                output_field=models.IntegerField(),
                db_persist=True,
            ),
            author=models.ForeignKey("made.Author", models.CASCADE),
            sequel=models.OneToOneField("self", models.SET_NULL, null=True),
            genres=models.ManyToManyField("made.Genre"),
        ),
        model(
            "Loan",
            {
                "constraints": [
                    ExclusionConstraint(
                        name="loan_once", expressions=[("days", "&&")], condition=Q(open=True)
                    ),
                    RowSecurity(),
                    Policy(name="loan_own", command="SELECT", using=Q(member__gt=0)),
                ]
            },
            book=models.ForeignKey("made.Book", models.CASCADE),
            member=models.ForeignKey("made.Author", models.CASCADE, db_constraint=False),
            days=postgres.DateRangeField(),
            open=models.BooleanField(),
        ),
    )
