"""Does the work of catalog.0001_initial."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["catalog.0001_initial"]
    operations = [
        zanith.CreateTable(
            table=zanith.Table(
                "catalog_brand",
                columns=(
                    zanith.Column("id", "uuid", nullable=False),
                    zanith.Column("name", "character varying(80)", nullable=False),
                    zanith.Column("website", "character varying(200)", nullable=False),
                    zanith.Column("logo", "bytea"),
                ),
                primary_key=zanith.PrimaryKey("catalog_brand_pkey", columns=("id",)),
                uniques=(zanith.Unique("catalog_brand_name_key", columns=("name",)),),
                indexes=(
                    zanith.Index(
                        "catalog_brand_name_ea62c47f_like",
                        keys=(
                            zanith.IndexKey(
                                column="name",
                                opclass="pg_catalog.varchar_pattern_ops",
                            ),
                        ),
                    ),
                ),
            ),
            model="catalog.Brand",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "catalog_category",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("name", "character varying(80)", nullable=False),
                    zanith.Column("position", "smallint", nullable=False),
                    zanith.Column("parent_id", "bigint"),
                ),
                primary_key=zanith.PrimaryKey("catalog_category_pkey", columns=("id",)),
                uniques=(
                    zanith.Unique(
                        "category_name_once",
                        columns=("parent_id", "name"),
                        nulls_not_distinct=True,
                    ),
                ),
                foreign_keys=(
                    zanith.ForeignKey(
                        "catalog_category_parent_id_f61bd017_fk_catalog_category_id",
                        columns=("parent_id",),
                        references="catalog_category",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                checks=(
                    zanith.Check(
                        "catalog_category_position_check",
                        '("position" >= 0)',
                        columns=("position",),
                    ),
                ),
                indexes=(zanith.Index("catalog_category_parent_id_f61bd017", keys=("parent_id",)),),
            ),
            model="catalog.Category",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "catalog_product",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("sku", "character varying(20)", nullable=False),
                    zanith.Column("name", "character varying(200)", nullable=False),
                    zanith.Column("description", "text", nullable=False),
                    zanith.Column("status", "smallint", nullable=False),
                    zanith.Column("price", "numeric(10,2)", nullable=False),
                    zanith.Column("cost", "numeric(10,2)", comment="What we pay, before tax"),
                    zanith.Column("stock", "integer", nullable=False),
                    zanith.Column("attributes", "jsonb", nullable=False),
                    zanith.Column(
                        "created_at",
                        "timestamp with time zone",
                        nullable=False,
                        default="statement_timestamp()",
                    ),
                    zanith.Column("brand_id", "uuid"),
                    zanith.Column("category_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("catalog_product_pkey", columns=("id",)),
                uniques=(zanith.Unique("catalog_product_sku_key", columns=("sku",)),),
                foreign_keys=(
                    zanith.ForeignKey(
                        "catalog_product_brand_id_bb0c7890_fk_catalog_brand_id",
                        columns=("brand_id",),
                        references="catalog_brand",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                    zanith.ForeignKey(
                        "catalog_product_category_id_35bf920b_fk_catalog_category_id",
                        columns=("category_id",),
                        references="catalog_category",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                checks=(
                    zanith.Check(
                        "catalog_product_status_check",
                        "(status >= 0)",
                        columns=("status",),
                    ),
                ),
                indexes=(
                    zanith.Index("catalog_product_brand_id_bb0c7890", keys=("brand_id",)),
                    zanith.Index("catalog_product_category_id_35bf920b", keys=("category_id",)),
                    zanith.Index(
                        "catalog_product_sku_5c54c070_like",
                        keys=(
                            zanith.IndexKey(column="sku", opclass="pg_catalog.varchar_pattern_ops"),
                        ),
                    ),
                ),
            ),
            model="catalog.Product",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "catalog_tag",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("slug", "character varying(50)", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("catalog_tag_pkey", columns=("id",)),
                uniques=(zanith.Unique("catalog_tag_slug_key", columns=("slug",)),),
                indexes=(
                    zanith.Index(
                        "catalog_tag_slug_193b049a_like",
                        keys=(
                            zanith.IndexKey(
                                column="slug",
                                opclass="pg_catalog.varchar_pattern_ops",
                            ),
                        ),
                    ),
                ),
            ),
            model="catalog.Tag",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "catalog_product_tags",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("product_id", "bigint", nullable=False),
                    zanith.Column("tag_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("catalog_product_tags_pkey", columns=("id",)),
                uniques=(
                    zanith.Unique(
                        "catalog_product_tags_product_id_tag_id_daa0ee1f_uniq",
                        columns=("product_id", "tag_id"),
                    ),
                ),
                foreign_keys=(
                    zanith.ForeignKey(
                        "catalog_product_tags_product_id_293d7e82_fk_catalog_product_id",
                        columns=("product_id",),
                        references="catalog_product",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                    zanith.ForeignKey(
                        "catalog_product_tags_tag_id_fb8826f6_fk_catalog_tag_id",
                        columns=("tag_id",),
                        references="catalog_tag",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                indexes=(
                    zanith.Index("catalog_product_tags_product_id_293d7e82", keys=("product_id",)),
                    zanith.Index("catalog_product_tags_tag_id_fb8826f6", keys=("tag_id",)),
                ),
            ),
            model="catalog.Product_tags",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "catalog_saleperiod",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("name", "character varying(80)", nullable=False),
                    zanith.Column("period", "tstzrange", nullable=False),
                    zanith.Column("discount_percent", "smallint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey("catalog_saleperiod_pkey", columns=("id",)),
                checks=(
                    zanith.Check(
                        "catalog_saleperiod_discount_percent_check",
                        "(discount_percent >= 0)",
                        columns=("discount_percent",),
                    ),
                ),
                exclusions=(
                    zanith.Exclusion(
                        "sale_periods_apart",
                        "EXCLUDE USING gist (period WITH &&)",
                        columns=("period",),
                    ),
                ),
            ),
            model="catalog.SalePeriod",
        ),
        zanith.CreateTable(
            table=zanith.Table(
                "catalog_saleperiod_categories",
                columns=(
                    zanith.Column("id", "bigint", nullable=False, identity="by default"),
                    zanith.Column("saleperiod_id", "bigint", nullable=False),
                    zanith.Column("category_id", "bigint", nullable=False),
                ),
                primary_key=zanith.PrimaryKey(
                    "catalog_saleperiod_categories_pkey",
                    columns=("id",),
                ),
                uniques=(
                    zanith.Unique(
                        "catalog_saleperiod_categ_saleperiod_id_category_i_0a90d53d_uniq",
                        columns=("saleperiod_id", "category_id"),
                    ),
                ),
                foreign_keys=(
                    zanith.ForeignKey(
                        "catalog_saleperiod_c_category_id_fa2f0f2c_fk_catalog_c",
                        columns=("category_id",),
                        references="catalog_category",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                    zanith.ForeignKey(
                        "catalog_saleperiod_c_saleperiod_id_352b4d9d_fk_catalog_s",
                        columns=("saleperiod_id",),
                        references="catalog_saleperiod",
                        referenced_columns=("id",),
                        deferrable="deferred",
                    ),
                ),
                indexes=(
                    zanith.Index(
                        "catalog_saleperiod_categories_category_id_fa2f0f2c",
                        keys=("category_id",),
                    ),
                    zanith.Index(
                        "catalog_saleperiod_categories_saleperiod_id_352b4d9d",
                        keys=("saleperiod_id",),
                    ),
                ),
            ),
            model="catalog.SalePeriod_categories",
        ),
    ]
