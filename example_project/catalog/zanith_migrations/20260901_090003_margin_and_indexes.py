"""Does the work of catalog.0004_margin_and_indexes."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["catalog.0004_margin_and_indexes"]
    operations = [
        zanith.AddGeneratedColumn(
            table="catalog_product",
            column=zanith.Column("margin", "numeric(11,2)", generated="(price - cost)"),
            model="catalog.Product",
        ),
        zanith.AddCheck(
            table="catalog_product",
            check=zanith.Check("product_price_paid", "(price >= (0)::numeric)", columns=("price",)),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index("product_attributes", keys=("attributes",), method="gin"),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index(
                "product_name_lower",
                keys=(zanith.IndexKey(expression="lower((name)::text)"),),
                columns=("name",),
            ),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index(
                "product_newest",
                keys=(zanith.IndexKey(column="created_at", order="DESC"),),
            ),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index(
                "product_price_list",
                keys=("category_id", "price"),
                include=("name", "sku"),
            ),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index(
                "product_scarce",
                keys=("stock",),
                predicate="((status = 1) AND (stock < 5))",
                columns=("status", "stock"),
            ),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index("product_search", keys=("search",), method="gin"),
            model="catalog.Product",
        ),
        zanith.AddIndex(
            table="catalog_product",
            index=zanith.Index(
                "product_slug_once",
                keys=("slug",),
                unique=True,
                predicate="(NOT ((slug)::text = ''::text))",
            ),
            model="catalog.Product",
        ),
    ]
