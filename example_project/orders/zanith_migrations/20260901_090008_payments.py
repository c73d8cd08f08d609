"""Does the work of orders.0002_payments."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["orders.0002_payments"]
    operations = [
        zanith.CreateTable(
            table=zanith.Table(
                "orders_payment",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("provider", "character varying(20)", nullable=False),
                    zanith.Column("provider_reference", "character varying(64)"),
                    zanith.Column("amount", "numeric(12,2)", nullable=False),
                    zanith.Column("response", "jsonb"),
                    zanith.Column(
                        "received_at",
                        "timestamp with time zone",
                        nullable=False,
                        default="statement_timestamp()",
                    ),
                    zanith.Column("order_id", "uuid", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("orders_payment_pkey", columns=("id",)),
                foreign_keys=(
                    zanith.ForeignKey(
                        "orders_payment_order_id_bdccf250_fk_orders_order_id",
                        columns=("order_id",),
                        references="orders_order",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                indexes=(zanith.Index("orders_payment_order_id_bdccf250", keys=("order_id",)),),
            ),
            model="orders.Payment",
        ),
        zanith.AddColumn(
            table="orders_order",
            column=zanith.Column("note", "text", nullable=False, default="''"),
            model="orders.Order",
        ),
        zanith.AlterColumnDefault(
            table="orders_order",
            column="note",
            old="''",
            model="orders.Order",
        ),
        zanith.AddColumn(
            table="orders_order",
            column=zanith.Column("time_to_ship", "interval"),
            model="orders.Order",
        ),
    ]
