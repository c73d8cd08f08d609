"""Does the work of customers.0003_once_and_faster."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["customers.0003_once_and_faster"]
    operations = [
        zanith.AddCheck(
            table="customers_address",
            check=zanith.Check(
                "address_country_code",
                "((country)::text ~ '^[A-Z]{2}$'::text)",
                columns=("country",),
            ),
            model="customers.Address",
        ),
        zanith.AddIndex(
            table="customers_address",
            index=zanith.Index(
                "address_one_default",
                keys=("customer_id", "kind"),
                unique=True,
                predicate="is_default",
                columns=("customer_id", "is_default", "kind"),
            ),
            model="customers.Address",
        ),
        zanith.AddIndex(
            table="customers_address",
            index=zanith.Index("address_place", keys=("country", "postcode")),
            model="customers.Address",
        ),
        zanith.AddIndex(
            table="customers_customer",
            index=zanith.Index(
                "customer_email_once",
                keys=(zanith.IndexKey(expression="lower((email)::text)"),),
                unique=True,
                columns=("email",),
            ),
            model="customers.Customer",
        ),
        zanith.AddIndex(
            table="customers_customer",
            index=zanith.Index("customer_interests", keys=("interests",), method="gin"),
            model="customers.Customer",
        ),
        zanith.AddIndex(
            table="customers_customer",
            index=zanith.Index(
                "customer_preferences",
                keys=(zanith.IndexKey(column="preferences", opclass="pg_catalog.jsonb_path_ops"),),
                method="gin",
            ),
            model="customers.Customer",
        ),
        zanith.AddIndex(
            table="customers_customer",
            index=zanith.Index(
                "customer_recently_seen",
                keys=(zanith.IndexKey(column="last_seen_at", order="DESC"),),
                predicate="(last_seen_at IS NOT NULL)",
            ),
            model="customers.Customer",
        ),
    ]
