"""Does the work of orders.0001_initial."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["orders.0001_initial"]
    operations = [
        zanith.CreateTable(
            table=zanith.Table(
                "orders_order",
                columns=(
                    zanith.Column("id", "uuid", nullable=False),
                    zanith.Column("number", "bigint", nullable=False),
                    zanith.Column("status", "smallint", nullable=False),
                    zanith.Column("total", "numeric(12,2)", nullable=False),
                    zanith.Column(
                        "placed_at",
                        "timestamp with time zone",
                        nullable=False,
                        default="statement_timestamp()",
                    ),
                    zanith.Column("paid_at", "timestamp with time zone"),
                    zanith.Column("customer_id", "bigint", nullable=False),
                    zanith.Column("delivery_address_id", "bigint"),
                ),
                primary_key=zanith.PrimaryKey("orders_order_pkey", columns=("id",)),
                uniques=(zanith.Unique("orders_order_number_key", columns=("number",)),),
                foreign_keys=(
                    zanith.ForeignKey(
                        "orders_order_customer_id_0b76f6a4_fk_customers_customer_id",
                        columns=("customer_id",),
                        references="customers_customer",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                    zanith.ForeignKey(
                        "orders_order_delivery_address_id_6ecfdbf4_fk_customers",
                        columns=("delivery_address_id",),
                        references="customers_address",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                checks=(
                    zanith.Check("orders_order_number_check", "(number >= 0)", columns=("number",)),
                    zanith.Check("orders_order_status_check", "(status >= 0)", columns=("status",)),
                ),
                indexes=(
                    zanith.Index("orders_order_customer_id_0b76f6a4", keys=("customer_id",)),
                    zanith.Index(
                        "orders_order_delivery_address_id_6ecfdbf4",
                        keys=("delivery_address_id",),
                    ),
                ),
            ),
            model="orders.Order",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "orders_orderline",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("quantity", "integer", nullable=False),
                    zanith.Column("unit_price", "numeric(10,2)", nullable=False),
                    zanith.Column(
                        "amount",
                        "numeric(14,2)",
                        generated="((quantity)::numeric * unit_price)",
                    ),
                    zanith.Column("order_id", "uuid", nullable=False),
                    zanith.Column("product_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("orders_orderline_pkey", columns=("id",)),
                uniques=(zanith.Unique("order_line_once", columns=("order_id", "product_id")),),
                foreign_keys=(
                    zanith.ForeignKey(
                        "orders_orderline_order_id_17f8f3ef_fk_orders_order_id",
                        columns=("order_id",),
                        references="orders_order",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                    zanith.ForeignKey(
                        "orders_orderline_product_id_a68772b6_fk_catalog_product_id",
                        columns=("product_id",),
                        references="catalog_product",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                checks=(
                    zanith.Check("order_line_not_empty", "(quantity > 0)", columns=("quantity",)),
                    zanith.Check(
                        "orders_orderline_quantity_check",
                        "(quantity >= 0)",
                        columns=("quantity",),
                    ),
                ),
                indexes=(
                    zanith.Index("orders_orderline_order_id_17f8f3ef", keys=("order_id",)),
                    zanith.Index("orders_orderline_product_id_a68772b6", keys=("product_id",)),
                ),
            ),
            model="orders.OrderLine",
        ),
    ]
