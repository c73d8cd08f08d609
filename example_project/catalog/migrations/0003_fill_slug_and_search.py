"""Give every product a slug and its search text, in two statements for any number of them."""

from django.contrib.postgres.search import SearchVector
from django.db import migrations
from django.db.models import CharField, Func, Value
from django.db.models.functions import Cast, Concat, Lower


def fill(apps, schema_editor):
    products = apps.get_model("catalog", "Product").objects.using(schema_editor.connection.alias)
    words = Func(
        Lower("name"),
        Value("[^a-z0-9]+"),
        Value("-"),
        Value("g"),
        function="regexp_replace",
        output_field=CharField(),
    )
    # The key at the end keeps slugs apart where two products share a name.
    products.filter(slug="").update(slug=Concat(words, Value("-"), Cast("id", CharField())))
    products.filter(search=None).update(
        search=SearchVector("name", weight="A", config="english")
        + SearchVector("description", weight="B", config="english")
    )


def clear(apps, schema_editor):
    products = apps.get_model("catalog", "Product").objects.using(schema_editor.connection.alias)
    products.update(slug="", search=None)


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_slug_and_search"),
    ]

    operations = [
        migrations.RunPython(fill, clear),
    ]
