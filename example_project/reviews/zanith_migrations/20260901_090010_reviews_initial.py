"""Does the work of reviews.0001_initial."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["reviews.0001_initial"]
    operations = [
        zanith.CreateTable(
            table=zanith.Table(
                "reviews_review",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("rating", "smallint", nullable=False),
                    zanith.Column("title", "character varying(120)", nullable=False),
                    zanith.Column("body", "text", nullable=False),
                    zanith.Column(
                        "published_at",
                        "timestamp with time zone",
                        nullable=False,
                        default="statement_timestamp()",
                    ),
                    zanith.Column("customer_id", "bigint", nullable=False),
                    zanith.Column("product_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("reviews_review_pkey", columns=("id",)),
                uniques=(zanith.Unique("review_once", columns=("product_id", "customer_id")),),
                foreign_keys=(
                    zanith.ForeignKey(
                        "reviews_review_customer_id_17e79eab_fk_customers_customer_id",
                        columns=("customer_id",),
                        references="customers_customer",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                    zanith.ForeignKey(
                        "reviews_review_product_id_ce2fa4c6_fk_catalog_product_id",
                        columns=("product_id",),
                        references="catalog_product",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                checks=(
                    zanith.Check(
                        "reviews_review_rating_check",
                        "(rating >= 0)",
                        columns=("rating",),
                    ),
                ),
                indexes=(
                    zanith.Index("reviews_review_customer_id_17e79eab", keys=("customer_id",)),
                    zanith.Index("reviews_review_product_id_ce2fa4c6", keys=("product_id",)),
                ),
            ),
            model="reviews.Review",
        ),
    ]
