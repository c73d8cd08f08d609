"""Fills the shop with believable rows by the hundred thousand, made inside PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections, transaction
from psycopg.sql import SQL, Identifier

QUERIES = Path(__file__).resolve().parent.parent / "fill_shop"


@dataclass(frozen=True, slots=True)
class Portion:
    """One query, the table that it fills, and which share of all rows it makes.

    A share of 0 is a small, fixed set that is made once.
    """

    query: str
    table: str
    share: float = 0.0


# In this order: later rows point at earlier ones.
PORTIONS = (
    Portion("categories", "catalog_category"),
    Portion("brands", "catalog_brand"),
    Portion("tags", "catalog_tag"),
    Portion("sale_periods", "catalog_saleperiod"),
    Portion("customers", "customers_customer", 0.12),
    Portion("business_customers", "customers_businesscustomer", 0.01),
    Portion("addresses", "customers_address", 0.12),
    Portion("loyalty_cards", "customers_loyaltycard", 0.04),
    Portion("products", "catalog_product", 0.05),
    Portion("product_tags", "catalog_product_tags", 0.07),
    Portion("orders", "orders_order", 0.15),
    Portion("order_lines", "orders_orderline", 0.25),
    Portion("payments", "orders_payment", 0.12),
    Portion("reviews", "reviews_review", 0.07),
)


class Command(BaseCommand):
    help = "Add about --rows rows to the shop, spread over its tables. Run it again to add more."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, default=100_000, help="how many in all (100000)")
        parser.add_argument("--database", default="default")

    def handle(self, *, rows: int, database: str, **options: object) -> None:
        if rows < 100:
            raise CommandError("--rows must be at least 100, so that every table gets some")
        with transaction.atomic(using=database), connections[database].cursor() as cursor:
            made = 0
            for portion in PORTIONS:
                query = (QUERIES / f"{portion.query}.sql").read_text()
                cursor.execute(query, {"rows": max(1, round(rows * portion.share))})
                self.stdout.write(f"{portion.query.replace('_', ' '):<20} {cursor.rowcount:>10,}")
                made += cursor.rowcount
                # The next query joins this table: without statistics it takes minutes, not seconds.
                cursor.execute(SQL("ANALYZE {}").format(Identifier(portion.table)))
        self.stdout.write(self.style.SUCCESS(f"{made:,} rows added."))
