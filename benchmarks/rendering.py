"""CPU seconds of each format for a plan of many steps, each with all that a step can have.

    python benchmarks/rendering.py [steps]

Beside them is the start of Django, which every command pays.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

LIMIT = 1.0


def main() -> int:
    started = time.process_time()
    import django
    from django.conf import settings

    settings.configure(INSTALLED_APPS=["zanith_django"], ZANITH={}, SECRET_KEY="benchmark")
    django.setup()
    print(f"{'start of Django':<16} {time.process_time() - started:6.3f} s")

    from tests.render.reports import of_size
    from zanith_django.render.formats import FORMATS

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    report = of_size(count)
    slow = []
    for name, form in FORMATS.items():
        started = time.process_time()
        rendered = form.render(report)
        text = json.dumps(rendered) if isinstance(rendered, dict) else "\n".join(rendered)
        seconds = time.process_time() - started
        slow += [name] if seconds > LIMIT else []
        print(f"{name:<16} {seconds:6.3f} s for {count:,} steps, {len(text):,} characters")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
