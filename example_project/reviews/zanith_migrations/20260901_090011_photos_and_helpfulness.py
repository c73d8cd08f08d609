"""Does the work of reviews.0002_photos_and_helpfulness."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["reviews.0002_photos_and_helpfulness"]
    operations = [
        zanith.CreateTable(
            table=zanith.Table(
                "reviews_review_helpful_to",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("review_id", "bigint", nullable=False),
                    zanith.Column("customer_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("reviews_review_helpful_to_pkey", columns=("id",)),
                uniques=(
                    zanith.Unique(
                        "reviews_review_helpful_to_review_id_customer_id_bcecc2bc_uniq",
                        columns=("review_id", "customer_id"),
                    ),
                ),
                foreign_keys=(
                    zanith.ForeignKey(
                        "reviews_review_helpf_customer_id_1fe5a45d_fk_customers",
                        columns=("customer_id",),
                        references="customers_customer",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                    zanith.ForeignKey(
                        "reviews_review_helpf_review_id_67e1e2fe_fk_reviews_r",
                        columns=("review_id",),
                        references="reviews_review",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                indexes=(
                    zanith.Index(
                        "reviews_review_helpful_to_customer_id_1fe5a45d",
                        keys=("customer_id",),
                    ),
                    zanith.Index(
                        "reviews_review_helpful_to_review_id_67e1e2fe",
                        keys=("review_id",),
                    ),
                ),
            ),
            model="reviews.Review_helpful_to",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "reviews_reviewphoto",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("position", "smallint", nullable=False),
                    zanith.Column("thumbnail", "bytea", nullable=False),
                    zanith.Column(
                        "caption",
                        "character varying(120)",
                        nullable=False,
                        default="''::character varying",
                    ),
                    zanith.Column("review_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("reviews_reviewphoto_pkey", columns=("id",)),
                uniques=(
                    zanith.Unique(
                        "review_photo_position",
                        columns=("review_id", "position"),
                        deferrable="deferred",
                    ),
                ),
                foreign_keys=(
                    zanith.ForeignKey(
                        "reviews_reviewphoto_review_id_aafefec5_fk_reviews_review_id",
                        columns=("review_id",),
                        references="reviews_review",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                checks=(
                    zanith.Check(
                        "reviews_reviewphoto_position_check",
                        '("position" >= 0)',
                        columns=("position",),
                    ),
                ),
                indexes=(
                    zanith.Index("reviews_reviewphoto_review_id_aafefec5", keys=("review_id",)),
                ),
            ),
            model="reviews.ReviewPhoto",
        ),
        zanith.AddColumn(
            table="reviews_review",
            column=zanith.Column("author_ip", "inet"),
            model="reviews.Review",
        ),
        zanith.AddCheck(
            table="reviews_review",
            check=zanith.Check(
                "review_one_to_five_stars",
                "((rating >= 1) AND (rating <= 5))",
                columns=("rating",),
            ),
            model="reviews.Review",
        ),
        zanith.AddIndex(
            table="reviews_review",
            index=zanith.Index(
                "review_best_of_product",
                keys=("product_id", zanith.IndexKey(column="rating", order="DESC")),
            ),
            model="reviews.Review",
        ),
    ]
