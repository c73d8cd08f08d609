"""Does the work of customers.0001_initial."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["customers.0001_initial"]
    operations = [
        zanith.CreateTable(
            table=zanith.Table(
                "customers_customer",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column(
                        "reference",
                        "uuid",
                        nullable=False,
                        default="gen_random_uuid()",
                        comment="What partners know us by",
                    ),
                    zanith.Column("email", "character varying(254)", nullable=False),
                    zanith.Column("name", "character varying(150)", nullable=False),
                    zanith.Column("level", "smallint", nullable=False),
                    zanith.Column("preferences", "jsonb", nullable=False),
                    zanith.Column("interests", "character varying(30)[]", nullable=False),
                    zanith.Column(
                        "joined_at",
                        "timestamp with time zone",
                        nullable=False,
                        default="statement_timestamp()",
                    ),
                ),
                primary_key=zanith.PrimaryKey("customers_customer_pkey", columns=("id",)),
                uniques=(
                    zanith.Unique("customers_customer_reference_key", columns=("reference",)),
                ),
                checks=(
                    zanith.Check(
                        "customers_customer_level_check",
                        "(level >= 0)",
                        columns=("level",),
                    ),
                ),
                comment="Everybody who ever had an account",
            ),
            model="customers.Customer",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "customers_address",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("kind", "character varying(10)", nullable=False),
                    zanith.Column("lines", "character varying(100)[]", nullable=False),
                    zanith.Column("postcode", "character varying(12)", nullable=False),
                    zanith.Column("city", "character varying(80)", nullable=False),
                    zanith.Column("country", "character varying(2)", nullable=False),
                    zanith.Column("is_default", "boolean", nullable=False),
                    zanith.Column("customer_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("customers_address_pkey", columns=("id",)),
                foreign_keys=(
                    zanith.ForeignKey(
                        "customers_address_customer_id_f042422e_fk_customers_customer_id",
                        columns=("customer_id",),
                        references="customers_customer",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                indexes=(
                    zanith.Index("customers_address_customer_id_f042422e", keys=("customer_id",)),
                ),
            ),
            model="customers.Address",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "customers_businesscustomer",
                columns=(
                    zanith.Column("customer_ptr_id", "bigint", nullable=False),
                    zanith.Column("company", "character varying(200)", nullable=False),
                    zanith.Column("vat_number", "character varying(20)", nullable=False),
                    zanith.Column("payment_term", "interval"),
                ),
                primary_key=zanith.PrimaryKey(
                    "customers_businesscustomer_pkey",
                    columns=("customer_ptr_id",),
                ),
                foreign_keys=(
                    zanith.ForeignKey(
                        "customers_businesscu_customer_ptr_id_9677f18c_fk_customers",
                        columns=("customer_ptr_id",),
                        references="customers_customer",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                indexes=(
                    zanith.Index(
                        "business_vat_once",
                        keys=("vat_number",),
                        unique=True,
                        predicate="(NOT ((vat_number)::text = ''::text))",
                    ),
                ),
            ),
            model="customers.BusinessCustomer",
        ),
    ]
