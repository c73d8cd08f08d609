"""Rehearses a deploy: workers of the old release serve while `zanith_apply` runs the new one.

    python -m benchmarks.rehearsal [--rows N] [--workers N] [--per-second N] [--server WORD]

The example project is copied and filled, workers of it serve reads and writes, then its models
change: first in ways that the code of the old release does not notice, then in ways that break it.
Printed is, for each part, how long requests took and how many failed. Exit 1 when one failed while
no step of the plan was said to break running code.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import CHOICE, shared_server

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent

FILL = """
INSERT INTO customers_customer (email, name, level, preferences, interests)
    SELECT 'c' || n || '@example.org', 'Customer ' || n, 1, '{}', '{}'
    FROM generate_series(1, 1000) n;
INSERT INTO catalog_category (name, position) VALUES ('All', 0);
INSERT INTO catalog_product
        (sku, name, slug, description, category_id, status, price, stock, attributes)
    SELECT 'p' || n, 'Product ' || n, 'p' || n, '', 1, 1, n, 100, '{}'
    FROM generate_series(1, 100) n;
INSERT INTO orders_order (id, number, customer_id, status, total, note, placed_at)
    SELECT gen_random_uuid(), n, 1 + n %% 1000, 1, n %% 500, '', now() - n * interval '1 second'
    FROM generate_series(1, %(rows)s) n;
INSERT INTO orders_orderline (order_id, product_id, quantity, unit_price)
    SELECT id, 1 + number %% 100, 1, total FROM orders_order WHERE number %% 2 = 0;
ANALYZE;
"""


@dataclass(frozen=True, slots=True)
class Release:
    """What a release changes: (file, old text, new text) each, and files that it adds."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    files: Mapping[str, str]


ORDERS, CUSTOMERS = "example_project/orders/models.py", "example_project/customers/models.py"

UNNOTICED = Release(
    "unnoticed",
    (
        # A type whose change rewrites the table, under an index that includes the column.
        (ORDERS, "total = models.DecimalField(max_digits=12, decimal_places=2, default=0)",
         "total = models.DecimalField(max_digits=16, decimal_places=4, default=0)"),
        # A column with a volatile default, a foreign key with its index, one with a constant.
        (ORDERS, "    placed_at = models.DateTimeField(db_default=Now())\n",
         "    placed_at = models.DateTimeField(db_default=Now())\n"
         "    tracking = models.UUIDField(db_default=RandomUUID(), editable=False)\n"
         "    channel = models.CharField(max_length=10, db_default='web')\n"
         "    advised_by = models.ForeignKey(\n"
         "        Customer, models.SET_NULL, null=True, blank=True, related_name='+'\n"
         "    )\n"),
        (ORDERS, "from django.db import models\n",
         "from django.contrib.postgres.functions import RandomUUID\n"
         "from django.db import models\n"),
        # A check, a unique and two indexes on what is there.
        (ORDERS, '                name="order_paid_after_placed",\n            ),\n',
         '                name="order_paid_after_placed",\n            ),\n'
         "            models.CheckConstraint(\n"
         '                condition=models.Q(total__gte=0), name="order_total_paid"\n'
         "            ),\n"
         "            models.UniqueConstraint(\n"
         '                fields=["customer", "number"], name="order_number_of_customer"\n'
         "            ),\n"),
        (ORDERS, '            models.Index(fields=["-placed_at"], name="order_newest"),\n',
         '            models.Index(fields=["-placed_at"], name="order_newest"),\n'
         '            models.Index(fields=["status", "paid_at"], name="order_by_status"),\n'),
    ),
    {},
)  # fmt: skip

BREAKING = Release(
    "breaking",
    (
        (ORDERS, '    note = models.TextField(blank=True, default="")\n', ""),
        (CUSTOMERS, "    last_seen_ip = ", "    last_address = "),
    ),
    {
        "example_project/customers/migrations/0004_last_address.py": (
            "from django.db import migrations\n\n\n"
            "class Migration(migrations.Migration):\n"
            '    dependencies = [("customers", "0003_once_and_faster")]\n'
            "    operations = [\n"
            '        migrations.RenameField("customer", "last_seen_ip", "last_address")\n'
            "    ]\n"
        )
    },
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10**6)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--per-second", type=float, default=20.0, help="requests of each worker")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds before the release")
    parser.add_argument("--server", default=os.environ.get(CHOICE) or "embedded")
    arguments = parser.parse_args()
    os.environ[CHOICE] = arguments.server
    server = shared_server()
    database = server.create_database()
    with tempfile.TemporaryDirectory(prefix="zanith-rehearsal-") as folder:
        try:
            return rehearse(Path(folder), server.url(database), arguments)
        finally:
            server.drop_database(database)


def rehearse(folder: Path, url: str, arguments: argparse.Namespace) -> int:
    old = Shop(folder / "old", url)
    old.copy_from(REPOSITORY)
    old.manage("zanith_apply", "--no-input")
    old.run_sql(FILL, rows=arguments.rows)
    print(f"{arguments.rows} orders, {arguments.workers} workers of the old release", flush=True)
    broken = False
    with workers(old, arguments) as logs:
        started = time.time()
        time.sleep(arguments.idle)
        idle = Part("idle", logs, started, time.time())
        idle.print()
        previous = old
        for release in (UNNOTICED, BREAKING):
            shop = Shop(folder / release.name, url)
            shop.copy_from(previous.root)
            shop.change(release)
            breaking = shop.generate_and_plan()
            started = time.time()
            shop.manage("zanith_apply", "--no-input", "--allow-destructive", "--max-risk", "100")
            part = Part(release.name, logs, started, time.time())
            part.print(breaking)
            broken = broken or bool(part.failures and not breaking)
            previous = shop
    return 1 if broken else 0


@dataclass(frozen=True, slots=True)
class Shop:
    """A copy of the example project: one release of it."""

    root: Path
    url: str

    def copy_from(self, root: Path) -> None:
        shutil.copytree(
            root / "example_project",
            self.root / "example_project",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        shutil.copy(REPOSITORY / "manage.py", self.root)
        for name in ("shop_settings.py", "shop_urls.py", "worker.py"):
            shutil.copy(HERE / name, self.root)

    def change(self, release: Release) -> None:
        for name, old, new in release.edits:
            file = self.root / name
            text = file.read_text()
            if old not in text:
                raise SystemExit(f"{name} of the example project has no {old!r} any more.")
            file.write_text(text.replace(old, new))
        for name, text in release.files.items():
            (self.root / name).write_text(text)

    def generate_and_plan(self) -> list[str]:
        """What the plan says of running code: one line for each step that breaks it."""
        self.manage("zanith_generate")
        plan = json.loads(self.manage("zanith_plan", "--format", "json", check=False).stdout)
        steps = [step for migration in plan["migrations"] for step in migration["steps"]]
        print(f"\n{len(steps)} steps: {', '.join(step['kind'] for step in steps)}", flush=True)
        return [
            f"{step['kind']} {step['target']}"
            for step in steps
            if "breaks_running_code" in step["reasons"]
        ]

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.root, env=self.environment(), capture_output=True, text=True,
        )  # fmt: skip
        if check and done.returncode:
            raise SystemExit(f"{' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done

    def run_sql(self, text: str, **values: int) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute((text % values).encode())

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.root), str(REPOSITORY)])
        return {
            **os.environ,
            "DATABASE_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "PYTHONPATH": path,
        }


@contextmanager
def workers(shop: Shop, arguments: argparse.Namespace) -> Iterator[Path]:
    """Workers that serve while the block runs; the folder of the files that they write."""
    logs = shop.root / "requests"
    logs.mkdir()
    said = [str(arguments.rows), str(arguments.per_second)]
    with ExitStack() as files:
        running = [
            subprocess.Popen(
                [sys.executable, "worker.py", str(number), *said],
                cwd=shop.root,
                env=shop.environment(),
                stdout=files.enter_context((logs / str(number)).open("w")),
            )
            for number in range(arguments.workers)
        ]
        try:
            yield logs
        finally:
            for worker in running:
                worker.send_signal(signal.SIGTERM)
            for worker in running:
                worker.wait()


class Part:
    """The requests that began in a span of time."""

    def __init__(self, name: str, logs: Path, started: float, ended: float) -> None:
        self.name, self.seconds = name, ended - started
        time.sleep(1)  # those that began last end, too
        lines = [line for log in logs.iterdir() for line in log.read_text().splitlines()]
        requests = [json.loads(line) for line in lines if line.endswith("]")]
        self.requests: list[list[Any]] = [r for r in requests if started <= r[0] < ended]
        self.failures = [line for line in self.requests if line[3]]

    def print(self, breaking: list[str] | None = None) -> None:
        times = sorted(1000 * line[1] for line in self.requests) or [0.0]
        cuts = statistics.quantiles(times, n=100) if len(times) > 1 else times * 99
        print(
            f"{self.name:<10} {self.seconds:6.1f} s  {len(self.requests):6} requests"
            f"  {len(self.failures):5} failed"
            f"   p50 {cuts[49]:6.1f}  p95 {cuts[94]:6.1f}  p99 {cuts[98]:6.1f}"
            f"  max {times[-1]:7.1f} ms",
            flush=True,
        )
        if breaking is not None:
            said = ", ".join(breaking) or "nothing"
            print(f"{'':<10} breaks running code, says the plan: {said}")
        for (kind, error), times_seen in Counter((f[2], f[3]) for f in self.failures).most_common(
            9
        ):
            print(f"{'':<10} {times_seen} x {kind}: {error}")


if __name__ == "__main__":
    sys.exit(main())
