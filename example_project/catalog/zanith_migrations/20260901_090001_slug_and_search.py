"""Does the work of catalog.0002_slug_and_search."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["catalog.0002_slug_and_search"]
    operations = [
        zanith.AddColumn(
            table="catalog_product",
            column=zanith.Column("search", "tsvector"),
            model="catalog.Product",
        ),
        zanith.AddColumn(
            table="catalog_product",
            column=zanith.Column("slug", "character varying(220)", nullable=False, default="''"),
            model="catalog.Product",
        ),
        zanith.AlterColumnDefault(
            table="catalog_product",
            column="slug",
            old="''",
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index("catalog_product_slug_f37848b0", keys=("slug",)),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index(
                "catalog_product_slug_f37848b0_like",
                keys=(zanith.IndexKey(column="slug", opclass="pg_catalog.varchar_pattern_ops"),),
            ),
            model="catalog.Product",
        ),
    ]
