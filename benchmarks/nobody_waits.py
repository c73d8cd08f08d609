"""Dangerous changes under load, by Django's migrate and by zanith_apply: who waits, and how long?

    DATABASE_URL=postgres://… python benchmarks/nobody_waits.py [rows] [--only CHANGE …]
                                                               [--blocker SECONDS]

Readers and writers work steadily on a table while it is changed. A stall is what a query took
longer than the slowest one of an idle control run; a wait is what the server says a client waited
for a lock. With `--blocker 60` another session keeps a transaction open on the table for the first
60 seconds, as a forgotten one does.

Makes databases named `zanith_waits_…` beside the one that the URL names, and drops them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

REPOSITORY = Path(__file__).parent.parent
TEMPLATE = "zanith_waits_template"
COPY = "zanith_waits_run"

SETTINGS = """
import environ

SECRET_KEY = "benchmark"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": environ.Env().db("DATABASE_URL")}
INSTALLED_APPS = ["django.contrib.contenttypes", "zanith_django", "shop"]
"""

MANAGE = """
import os, sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
"""

MODELS = """
from django.contrib.postgres.functions import RandomUUID
from django.db import models


class Customer(models.Model):
    name = models.TextField()


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, db_constraint=False)
    number = models.BigIntegerField()
    code = models.CharField(max_length=40)
    amount = models.IntegerField()
    note = models.TextField(null=True)
    label = models.TextField(null=True)
    old = models.IntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["amount"], name="order_amount")]
"""

ROWS = """
INSERT INTO shop_customer (name) SELECT 'customer ' || n FROM generate_series(1, 1000) AS n;
INSERT INTO shop_order (customer_id, number, code, amount, note, label, old)
SELECT 1 + n % 1000, n, md5(n::text), n % 5000, 'note ' || n, 'label ' || n, n
FROM generate_series(1, {rows}) AS n;
"""

MIGRATION = """
import django.db.models.deletion
from django.contrib.postgres.functions import RandomUUID
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [{operation}]
"""

FOREIGN_KEY = "models.ForeignKey({}, models.CASCADE{})"

# {change: (Django's operation, what of the models it replaces, by what)}
CHANGES = {
    "index": (
        'migrations.AddIndex("order", models.Index(fields=["code"], name="order_code"))',
        'name="order_amount")]',
        'name="order_amount"), models.Index(fields=["code"], name="order_code")]',
    ),
    "unique": (
        'migrations.AlterField("order", "number", models.BigIntegerField(unique=True))',
        "number = models.BigIntegerField()",
        "number = models.BigIntegerField(unique=True)",
    ),
    "foreign key": (
        'migrations.AlterField("order", "customer", models.ForeignKey('
        'on_delete=models.deletion.CASCADE, to="shop.customer"))',
        FOREIGN_KEY.format("Customer", ", db_constraint=False"),
        FOREIGN_KEY.format("Customer", ""),
    ),
    "check": (
        'migrations.AddConstraint("order", models.CheckConstraint('
        'condition=models.Q(amount__gte=0), name="order_positive"))',
        "    class Meta:\n",
        "    class Meta:\n        constraints = [models.CheckConstraint("
        'condition=models.Q(amount__gte=0), name="order_positive")]\n',
    ),
    "not null": (
        'migrations.AlterField("order", "note", models.TextField())',
        "note = models.TextField(null=True)",
        "note = models.TextField()",
    ),
    "type": (
        'migrations.AlterField("order", "amount", models.BigIntegerField())',
        "amount = models.IntegerField()",
        "amount = models.BigIntegerField()",
    ),
    "volatile default": (
        'migrations.AddField("order", "token", models.UUIDField(db_default=RandomUUID()))',
        "    class Meta:\n",
        "    token = models.UUIDField(db_default=RandomUUID())\n\n    class Meta:\n",
    ),
    "drop column": (
        'migrations.RemoveField("order", "old")',
        "    old = models.IntegerField(null=True)\n",
        "",
    ),
    "rename": (
        'migrations.RenameField("order", "label", "title")',
        "label = models.TextField(null=True)",
        "title = models.TextField(null=True)",
    ),
}

WAYS: Mapping[str, tuple[str, ...]] = {
    "migrate": ("migrate", "--verbosity", "0"),
    "zanith": ("zanith_apply", "--allow-destructive", "--max-risk", "100", "--no-input"),
}


@dataclass
class Felt:
    """What the clients of one run felt, in milliseconds."""

    slowest: float = 0.0
    stalls: list[float] = field(default_factory=list)
    waited: float = 0.0
    queries: int = 0
    failed: int = 0
    error: str = ""
    seconds: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", nargs="?", type=int, default=10**6)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--pace", type=float, default=0.04, help="seconds between two queries")
    parser.add_argument("--control", type=float, default=10.0, help="seconds of the control run")
    parser.add_argument("--only", nargs="*", choices=CHANGES)
    parser.add_argument("--blocker", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        load(arguments.load, arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Bench(Path(folder), os.environ["DATABASE_URL"], arguments))


def compare(bench: Bench) -> None:
    bench.prepare()
    try:
        control = bench.felt(None, 0.0)
        arguments = bench.arguments
        print(
            f"{arguments.rows:,} rows, {arguments.clients} clients, "
            f"idle control: {control.queries:,} queries, slowest {control.slowest:.0f} ms"
        )
        heads = ("change", "way", "longest stall", "sum of stalls", "longest lock wait", "failed")
        print(f"{heads[0]:<18}{heads[1]:<9}" + "".join(f"{h:>19}" for h in heads[2:]) + "   took")
        for change in arguments.only or CHANGES:
            for way in WAYS:
                tell(change, way, bench.felt((change, way), control.slowest))
    finally:
        bench.drop(COPY, TEMPLATE)


def tell(change: str, way: str, felt: Felt) -> None:
    longest, total = max(felt.stalls, default=0.0), sum(felt.stalls)
    print(
        f"{change:<18}{way:<9}{longest:>16.0f} ms{total:>16.0f} ms{felt.waited:>16.0f} ms"
        f"{felt.failed:>19}{felt.seconds:>6.1f} s {felt.error}",
        flush=True,
    )


class Bench:
    """The project, its database with rows, and a copy of both for each run."""

    def __init__(self, folder: Path, url: str, arguments: argparse.Namespace) -> None:
        self.folder, self.base, self.arguments = folder, url, arguments

    def url(self, name: str) -> str:
        return urlunsplit(urlsplit(self.base)._replace(path=f"/{name}"))

    def sql(self, text: str, url: str = "") -> None:
        with psycopg.connect(url or self.base, autocommit=True) as connection:
            connection.execute(text.encode())

    def drop(self, *names: str) -> None:
        for name in names:
            self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def manage(self, name: str, *arguments: str) -> None:
        environment = {**os.environ, "DATABASE_URL": self.url(name)}
        environment["PYTHONPATH"] = str(REPOSITORY)
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")

    def prepare(self) -> None:
        self.drop(COPY, TEMPLATE)
        self.sql(f"CREATE DATABASE {TEMPLATE}")
        for path, text in (("manage.py", MANAGE), ("settings.py", SETTINGS)):
            self.write(path, text)
        for path in ("__init__.py", "migrations/__init__.py", "zanith_migrations/__init__.py"):
            self.write(f"shop/{path}", "")
        self.write("shop/zanith_migrations/__init__.py", 'covered_after = "0001_initial"\n')
        self.write("shop/models.py", MODELS)
        self.manage(TEMPLATE, "makemigrations", "shop")
        self.manage(TEMPLATE, "zanith_apply", "--max-risk", "100")
        self.sql(ROWS.format(rows=self.arguments.rows), self.url(TEMPLATE))
        self.sql("VACUUM ANALYZE", self.url(TEMPLATE))

    def release(self, change: str, way: str) -> None:
        operation, old, new = CHANGES[change]
        assert old in MODELS, change
        for path in (*self.folder.glob("shop/*migrations/*.py"),):
            if path.name not in ("__init__.py", "0001_initial.py"):
                path.unlink()
        self.write("shop/models.py", MODELS.replace(old, new))
        self.write("shop/migrations/0002_change.py", MIGRATION.format(operation=operation))
        if way == "zanith":
            self.manage(COPY, "zanith_generate", "shop")

    def felt(self, what: tuple[str, str] | None, slowest_idle: float) -> Felt:
        """One run under load; None is the control run, in which nothing is changed."""
        self.drop(COPY)
        self.sql(f"CREATE DATABASE {COPY} TEMPLATE {TEMPLATE}")
        if what:
            self.release(*what)
        self.sql("CHECKPOINT", self.url(COPY))
        felt = Felt()
        blocker = self.blocker() if what else nullcontext()
        with blocker, self.clients(felt, slowest_idle), self.watched(felt):
            time.sleep(2)
            started = time.monotonic()
            if what:
                self.manage(COPY, *WAYS[what[1]])
            else:
                time.sleep(self.arguments.control)
            felt.seconds = time.monotonic() - started
            time.sleep(1)
        return felt

    @contextmanager
    def blocker(self) -> Iterator[None]:
        """A session whose transaction has read the table and ends after its time."""
        if not self.arguments.blocker:
            yield
            return
        with psycopg.connect(self.url(COPY), application_name="blocker") as session:
            session.execute("SELECT FROM shop_order LIMIT 1")
            end = threading.Timer(self.arguments.blocker, session.commit)
            end.start()
            yield
            end.join()

    @contextmanager
    def clients(self, felt: Felt, slowest_idle: float) -> Iterator[None]:
        given = self.arguments
        command = [sys.executable, __file__, str(given.rows), "--load", self.url(COPY)]
        command += ["--clients", str(given.clients), "--pace", str(given.pace)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        yield
        process.send_signal(signal.SIGINT)
        told = json.loads(process.communicate()[0])
        felt.queries, felt.failed, felt.error = len(told["took"]), told["failed"], told["error"]
        felt.slowest = max(told["took"], default=0.0)
        felt.stalls = [took - slowest_idle for took in told["took"] if took > slowest_idle]

    @contextmanager
    def watched(self, felt: Felt) -> Iterator[None]:
        """Asks the server every few milliseconds who waits for a lock, and since when."""
        over = threading.Event()

        def watch() -> None:
            text = (
                "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)"
                " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE NOT granted AND application_name = 'client'"
            )
            with psycopg.connect(self.url(COPY), autocommit=True) as connection:
                while not over.is_set():
                    row = connection.execute(text.encode()).fetchone()
                    felt.waited = max(felt.waited, 1000 * float(row[0]) if row else 0)
                    time.sleep(0.005)

        thread = threading.Thread(target=watch)
        thread.start()
        yield
        over.set()
        thread.join()


# --- the clients, in a process of their own ------------------------------------------------------


def load(url: str, arguments: argparse.Namespace) -> None:
    """Queries until it is interrupted; prints what each took."""
    told: dict[str, Any] = {"took": [], "failed": 0, "error": ""}
    over = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: over.set())

    def work(number: int) -> None:
        rng = random.Random(number)
        with psycopg.connect(url, autocommit=True, application_name="client") as connection:
            while not over.is_set():
                text, values = query(rng, arguments.rows, number)
                started = time.perf_counter()
                try:
                    connection.execute(text, values, prepare=False)
                except psycopg.Error as error:
                    told["failed"] += 1
                    told["error"] = str(error).splitlines()[0]
                told["took"].append(1000 * (time.perf_counter() - started))
                time.sleep(rng.uniform(0.5, 1.5) * arguments.pace)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(arguments.clients)]
    for thread in threads:
        thread.start()
    over.wait()
    for thread in threads:
        thread.join()
    print(json.dumps(told))


def query(rng: random.Random, rows: int, client: int) -> tuple[Any, tuple[Any, ...]]:
    """Half of the clients read, half write."""
    key = rng.randint(1, rows)
    if client % 2 == 0:
        return "SELECT id, customer_id, number, code, amount FROM shop_order WHERE id = %s", (key,)
    if rng.random() < 0.2:
        number = rows + rng.randint(1, 2**50)
        return (
            "INSERT INTO shop_order (customer_id, number, code, amount, note)"
            " VALUES (%s, %s, %s, %s, %s)",
            (1 + key % 1000, number, str(number), 1, "new"),
        )
    if rng.random() < 0.2:
        return "UPDATE shop_customer SET name = name WHERE id = %s", (1 + key % 1000,)
    return "UPDATE shop_order SET amount = %s, code = %s WHERE id = %s", (key % 5000, "x", key)


if __name__ == "__main__":
    main()
