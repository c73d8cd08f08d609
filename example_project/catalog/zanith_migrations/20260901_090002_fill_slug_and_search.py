"""Does the work of catalog.0003_fill_slug_and_search."""

import zanith_django as zanith


class Migration(zanith.Migration):
    covers = ["catalog.0003_fill_slug_and_search"]
    operations = [
        zanith.RunPython(
            migration="catalog.0003_fill_slug_and_search",
            position=1,
            description="fill",
            reversible=True,
        ),
    ]
