"""Does the work of customers.0002_loyalty_and_last_seen."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["customers.0002_loyalty_and_last_seen"]
    operations = [
        zanith.CreateTable(
            table=zanith.Table(
                "customers_loyaltycard",
                columns=(
                    zanith.Column("customer_id", "bigint", nullable=False),
                    zanith.Column("number", "character varying(16)", nullable=False),
                    zanith.Column("points", "integer", nullable=False, default="0"),
                    zanith.Column(
                        "discount_percent",
                        "smallint",
                        generated=(
                            "\n"
                            "CASE\n"
                            "    WHEN (points >= 1000) THEN 10\n"
                            "    WHEN (points >= 100) THEN 5\n"
                            "    ELSE 0\n"
                            "END"
                        ),
                    ),
                ),
                primary_key=zanith.PrimaryKey(
                    "customers_loyaltycard_pkey",
                    columns=("customer_id",),
                ),
                uniques=(zanith.Unique("customers_loyaltycard_number_key", columns=("number",)),),
                foreign_keys=(
                    zanith.ForeignKey(
                        "customers_loyaltycar_customer_id_0dca622c_fk_customers",
                        columns=("customer_id",),
                        references="customers_customer",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                checks=(
                    zanith.Check("loyalty_points_owned", "(points >= 0)", columns=("points",)),
                ),
                indexes=(
                    zanith.Index(
                        "customers_loyaltycard_number_16d8186f_like",
                        keys=(
                            zanith.IndexKey(
                                column="number",
                                opclass="pg_catalog.varchar_pattern_ops",
                            ),
                        ),
                    ),
                ),
            ),
            model="customers.LoyaltyCard",
        ),
        zanith.AddColumn(
            table="customers_customer",
            column=zanith.Column("last_seen_at", "timestamp with time zone"),
            model="customers.Customer",
        ),
        zanith.AddColumn(
            table="customers_customer",
            column=zanith.Column("last_seen_ip", "inet"),
            model="customers.Customer",
        ),
        zanith.AddColumn(
            table="customers_customer",
            column=zanith.Column("referred_by_id", "bigint"),
            model="customers.Customer",
        ),
        zanith.AddIndex(
            table="customers_customer",
            index=zanith.Index(
                "customers_customer_referred_by_id_0105d757",
                keys=("referred_by_id",),
            ),
            model="customers.Customer",
        ),
        zanith.AddForeignKey(
            table="customers_customer",
            foreign_key=zanith.ForeignKey(
                "customers_customer_referred_by_id_0105d757_fk_customers",
                columns=("referred_by_id",),
                references="customers_customer",
                referenced_columns=("id",),
                deferrable="deferred",
            ),
            model="customers.Customer",
        ),
    ]
