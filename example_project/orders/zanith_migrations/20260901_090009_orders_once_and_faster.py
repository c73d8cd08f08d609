"""Does the work of orders.0003_once_and_faster."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["orders.0003_once_and_faster"]
    operations = [
        zanith.AddUnique(
            table="orders_payment",
            unique=zanith.Unique(
                "payment_once",
                columns=("order_id", "provider", "provider_reference"),
                nulls_not_distinct=True,
            ),
            model="orders.Payment",
        ),
        zanith.AddCheck(
            table="orders_order",
            check=zanith.Check(
                "order_paid_after_placed",
                "((paid_at IS NULL) OR (paid_at >= placed_at))",
                columns=("paid_at", "placed_at"),
            ),
            model="orders.Order",
        ),
        zanith.AddIndex(
            table="orders_order",
            index=zanith.Index(
                "order_newest",
                keys=(zanith.IndexKey(column="placed_at", order="DESC"),),
            ),
            model="orders.Order",
        ),
        zanith.AddIndex(
            table="orders_order",
            index=zanith.Index(
                "order_of_customer",
                keys=("customer_id", zanith.IndexKey(column="placed_at", order="DESC")),
                include=("total",),
            ),
            model="orders.Order",
        ),
        zanith.AddIndex(
            table="orders_order",
            index=zanith.Index(
                "order_still_open",
                keys=("placed_at",),
                predicate="(status = 1)",
                columns=("placed_at", "status"),
            ),
            model="orders.Order",
        ),
    ]
