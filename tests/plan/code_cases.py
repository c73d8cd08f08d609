"""Django migrations that run SQL and Python of their author."""

from __future__ import annotations

import tests.plan.work_of_authors  # noqa: F401  # loaded, so that the plan reads it
from tests.plan.cases import BROKEN, Case, sql

RAW = (
    Case(
        "drop table in SQL",
        sql("DROP TABLE T CASCADE"),
        "destructive",
        f"drops_table_with_data {BROKEN}",
    ),
    Case(
        "drop column in SQL",
        sql("ALTER TABLE T DROP COLUMN name"),
        "destructive",
        f"drops_column_with_data {BROKEN}",
    ),
    Case("truncate", sql("TRUNCATE T"), "destructive", "deletes_all_rows"),
    Case("update all", sql("UPDATE T SET amount = 1"), "high", "updates_all_rows"),
    Case(
        "update some", sql("UPDATE T SET amount = 1 WHERE rank = 2"), "medium", "requires_backfill"
    ),
    Case(
        "update with parameters",
        "migrations.RunSQL([('UPDATE T SET name = %s', ['x'])], '')",
        "high",
        "updates_all_rows",
    ),
    Case("delete all", sql("DELETE FROM T"), "destructive", "deletes_all_rows"),
    Case("delete some", sql("DELETE FROM T WHERE rank = 2"), "high", "deletes_rows"),
    Case(
        "not null in SQL",
        sql("ALTER TABLE T ALTER COLUMN amount SET NOT NULL"),
        "high",
        f"changes_column_nullable_to_not_null locks_reads {BROKEN}",
    ),
    Case(
        "index in SQL",
        sql("CREATE INDEX {app}_x ON T (amount)"),
        "medium",
        "adds_index locks_writes",
    ),
    Case(
        "accepts an invalid index",
        sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS {app}_x ON T (amount)"),
        "medium",
        "accepts_existing",
        atomic=False,
    ),
    Case("vacuum full", sql("VACUUM FULL T"), "high", "rewrites_table locks_reads", atomic=False),
    Case("cluster", sql("CLUSTER T USING {app}_rank"), "high", "rewrites_table locks_reads"),
    Case("lock table", sql("LOCK TABLE T"), "high", "locks_reads"),
    Case("lock table alone", sql("LOCK TABLE T"), "blocked", "needs_transaction", atomic=False),
    Case("reindex", sql("REINDEX TABLE T"), "high", "reindexes locks_writes"),
    Case(
        "rename and drop in SQL",
        sql("ALTER TABLE T RENAME TO {app}_x; DROP TABLE {app}_x"),
        "destructive",
        f"drops_table_with_data rename_table {BROKEN}",
    ),
    Case(
        "several statements",
        sql("SELECT 1; ALTER TABLE T DROP COLUMN name; SELECT 2"),
        "destructive",
        "drops_column_with_data",
    ),
    Case(
        "a block that drops",
        sql("DO $$ BEGIN IF true THEN DROP TABLE T; END IF; END $$"),
        "destructive",
        f"drops_table_with_data {BROKEN}",
    ),
    Case(
        "a block that builds its SQL",
        sql("DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'x'); END $$"),
        "destructive",
        "may_drop raw_sql",
    ),
    Case("no SQL", sql("DROP ALL THE THINGS"), "destructive", "may_drop raw_sql"),
    Case("a function", sql("SELECT clean_up()"), "high", "raw_sql calls_functions"),
    Case(
        "without reverse",
        "migrations.RunSQL('INSERT INTO T (rank) VALUES (1)')",
        "medium",
        "inserts_rows irreversible",
    ),
    Case("commit", sql("COMMIT"), "high", "ends_transaction"),
    Case(
        "a column of a new domain",
        sql("CREATE DOMAIN {app}_d AS integer CHECK (VALUE > 0)")
        + ", "
        + sql("ALTER TABLE T ADD COLUMN more {app}_d DEFAULT 5"),
        "high",
        "rewrites_table locks_reads",
    ),
    Case("a sleep", sql("SELECT pg_sleep(0)"), "safe"),
    Case(
        "a sleep under a lock",
        sql("ALTER TABLE T ADD COLUMN more integer; SELECT pg_sleep(0)"),
        "high",
        "locks_reads",
    ),
    Case("a rule", sql("CREATE RULE {app}_r AS ON INSERT TO T DO INSTEAD NOTHING"), "high", BROKEN),
    Case("a sequence", sql("ALTER SEQUENCE {app}_item_id_seq RESTART"), "high", "resets_sequence"),
    Case(
        "a new sequence",
        sql("CREATE TABLE {app}_new (id serial); ALTER SEQUENCE {app}_new_id_seq RESTART WITH 9"),
        "safe",
    ),
    Case(
        "a new materialized view",
        sql(
            "CREATE MATERIALIZED VIEW {app}_m AS SELECT id FROM T; "
            "CREATE UNIQUE INDEX {app}_m_id ON {app}_m (id); REFRESH MATERIALIZED VIEW {app}_m; "
            "DROP MATERIALIZED VIEW {app}_m"
        ),
        "safe",
    ),
    Case(
        "a block that commits",
        sql("DO $$ BEGIN UPDATE T SET amount = 1 WHERE id = 1; COMMIT; END $$"),
        "blocked",
        "fails_in_transaction",
    ),
    Case(
        "a block that commits alone",
        sql("DO $$ BEGIN UPDATE T SET amount = 1 WHERE id = 1; COMMIT; END $$"),
        "medium",
        "requires_backfill",
        atomic=False,
    ),
    Case("unlogged", sql("ALTER TABLE T SET UNLOGGED"), "high", "unlogged_table"),
    Case("revoke", sql("REVOKE SELECT ON T FROM PUBLIC"), "high", f"changes_rights {BROKEN}"),
)


def run_python(name: str, code: str, level: str, reasons: str, never: str = "") -> Case:
    operation = "migrations.RunPython(forwards, migrations.RunPython.noop)"
    body = "\n".join(f"    {line}" for line in code.splitlines())
    model = '    Item = apps.get_model("{app}", "Item")\n'
    return Case(
        name,
        operation,
        level,
        reasons,
        never,
        code=f"def forwards(apps, schema_editor):\n{model}{body}\n",
    )


PYTHON = (
    run_python(
        "a loop over all rows",
        "for item in Item.objects.all():\n    item.amount = 1\n    item.save()",
        "medium",
        "loops_over_rows",
    ),
    run_python(
        "a loop by iterator",
        "for item in Item.objects.iterator():\n    item.save()",
        "medium",
        "loops_over_rows",
    ),
    run_python(
        "a loop over some",
        "for item in Item.objects.filter(rank=1):\n    item.save()",
        "medium",
        "requires_backfill",
        "loops_over_rows",
    ),
    run_python("update of all", "Item.objects.update(amount=1)", "high", "updates_all_rows"),
    run_python(
        "update of some",
        "Item.objects.filter(rank=1).update(amount=1)",
        "medium",
        "requires_backfill",
        "updates_all_rows",
    ),
    run_python(
        "update through a name",
        "items = Item.objects.using('x')\nitems.update(amount=1)",
        "high",
        "updates_all_rows",
    ),
    run_python("delete of all", "Item.objects.all().delete()", "destructive", "deletes_all_rows"),
    run_python(
        "delete of some",
        "Item.objects.filter(rank=1).delete()",
        "high",
        "deletes_rows",
        "deletes_all_rows",
    ),
    run_python(
        "a delete that is looked up",
        "getattr(Item.objects.all(), 'delete')()",
        "destructive",
        "deletes_all_rows",
    ),
    run_python(
        "a delete that cascades",
        "apps.get_model('{app}', 'Parent').objects.filter(code=1).delete()",
        "high",
        "deletes_rows",
    ),
    run_python(
        "a text that is replaced",
        "text = 'DROP TABLE {app}_item'\nschema_editor.execute(text)\n"
        "text = 'SELECT 1'\nschema_editor.execute(text)",
        "destructive",
        "drops_table_with_data",
    ),
    run_python(
        "rows that are replaced",
        "rows = Item.objects.all()\nrows.delete()\nrows = Item.objects.filter(rank=9)\nprint(rows)",
        "destructive",
        "deletes_all_rows",
    ),
    run_python(
        "a text of one branch",
        "text = 'SELECT 1'\nif Item.objects.exists():\n    text = 'TRUNCATE {app}_item'\n"
        "else:\n    text = 'SELECT 2'\nschema_editor.execute(text)",
        "destructive",
        "deletes_all_rows",
    ),
    run_python(
        "a cursor",
        "with schema_editor.connection.cursor() as cursor:\n"
        "    cursor.execute('DROP TABLE {app}_item')",
        "destructive",
        "drops_table_with_data",
    ),
    run_python(
        "a text built in Python",
        "schema_editor.execute(f'TRUNCATE {{Item._meta.db_table}}')",
        "destructive",
        "deletes_all_rows",
    ),
    run_python(
        "a sleep in Python under a lock",
        "import time\nschema_editor.execute('ALTER TABLE {app}_item ADD more integer')\n"
        "time.sleep(0)",
        "high",
        "locks_reads",
    ),
    run_python(
        "a command that flushes",
        "from django.core.management import call_command\n"
        "call_command('flush', interactive=False) if Item is None else None",
        "destructive",
        "may_drop raw_sql",
    ),
    Case(
        "a text for a helper",
        "migrations.RunPython(forwards, migrations.RunPython.noop)",
        "destructive",
        "deletes_all_rows",
        "raw_sql",
        code="def run(cursor, text):\n    cursor.execute(text)\n\n\n"
        "def forwards(apps, schema_editor):\n"
        "    with schema_editor.connection.cursor() as cursor:\n"
        '        run(cursor, text="DELETE FROM {app}_item")\n',
    ),
    run_python(
        "a text of parts",
        'schema_editor.execute(" ".join(["DELETE", "FROM", Item._meta.db_table]))',
        "destructive",
        "may_drop raw_sql",
    ),
    run_python(
        "SQL for the end",
        "schema_editor.deferred_sql.append('DELETE FROM {app}_item')",
        "destructive",
        "deletes_all_rows",
    ),
    run_python(
        "SQL that is added for the end",
        "schema_editor.deferred_sql += ['DELETE FROM {app}_item']",
        "destructive",
        "deletes_all_rows",
    ),
    run_python(
        "a template of the editor",
        "schema_editor.execute(schema_editor.sql_delete_table % {'table': Item._meta.db_table})",
        "destructive",
        "may_drop raw_sql",
    ),
    run_python("an unknown text", "schema_editor.execute(Item.text)", "high", "raw_sql"),
    run_python("the schema editor", "schema_editor.delete_model(Item)", "destructive", "may_drop"),
    run_python(
        "a table that the schema editor changes",
        "schema_editor.alter_unique_together(Item, (), [('amount', 'id')])",
        "high",
        "locks_reads",
    ),
    run_python("code of a package", "import json\njson.dumps(Item, apps)", "medium", "python_code"),
    run_python(
        "a model handed to a package",
        "import json\njson.dumps(model=apps.get_model('{app}', 'Item'))",
        "medium",
        "python_code",
    ),
    run_python(
        "a model of today",
        "from django.contrib.contenttypes.models import ContentType\n"
        "ContentType.objects.filter(pk=1).delete()",
        "high",
        "imports_models deletes_rows",
    ),
    run_python(
        "rows that are added",
        "Item.objects.create(rank=1)",
        "low",
        "inserts_rows",
        "requires_backfill",
    ),
    run_python(
        "a cursor that comments",
        "schema_editor.execute('COMMENT ON TABLE {app}_item IS %s', ['x'])",
        "safe",
        "",
    ),
    run_python("rows that are read", "print(Item.objects.filter(rank=1).exists())", "safe", ""),
    run_python(
        "values of rows",
        "for item in Item.objects.all():\n    print(item.name.upper())",
        "safe",
        "",
    ),
    run_python(
        "a private method",
        "Item.objects.all()._raw_delete(schema_editor.connection.alias)",
        "destructive",
        "deletes_all_rows",
    ),
    run_python("a method of a manager", "Item.objects.clean_up()", "medium", "python_code"),
    run_python(
        "a module of the project",
        "from tests.plan import work_of_authors\nwork_of_authors.clean_up()",
        "destructive",
        "deletes_all_rows",
    ),
    run_python(
        "a package that is not loaded",
        "from no_such_package import tidy\ntidy()",
        "medium",
        "python_code",
    ),
    run_python(
        "a class of the project",
        "from tests.plan.work_of_authors import CleanUp\nCleanUp(apps).start()",
        "destructive",
        "may_drop",
    ),
    run_python(
        "permissions",
        "from django.contrib.auth.management import create_permissions\ncreate_permissions(None)",
        "medium",
        "python_code",
    ),
    Case(
        "a noop that runs in its own way",
        "Clean(migrations.RunPython.noop)",
        "destructive",
        "deletes_all_rows",
        code="class Clean(migrations.RunPython):\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        new.apps.get_model('{app}', 'Item').objects.all().delete()\n",
    ),
    Case(
        "a method of the operation",
        "Tidy()",
        "destructive",
        f"drops_table_with_data {BROKEN}",
        code="class Tidy(migrations.operations.base.Operation):\n"
        "    def state_forwards(self, app_label, state):\n        pass\n\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        self.tidy(editor)\n\n"
        "    def tidy(self, editor):\n"
        "        editor.execute('DROP TABLE {app}_item')\n",
    ),
    Case(
        "what an operation of the project overrides",
        "Later()",
        "destructive",
        "deletes_all_rows",
        code="class Clean(migrations.operations.base.Operation):\n"
        "    table = '{app}_item'\n\n"
        "    def state_forwards(self, app_label, state):\n        pass\n\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        editor.execute(f'DELETE FROM {{self.table}}')\n\n\n"
        "class Later(Clean):\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        super().database_forwards(app_label, editor, old, new)\n",
    ),
    run_python(
        "a method under another name",
        "run = schema_editor.execute\nrun('COMMENT ON TABLE {app}_item IS NULL')",
        "high",
        "raw_sql",
    ),
    run_python(
        "a method that other code calls",
        "list(map(Item.delete, Item.objects.filter(rank=9)))",
        "destructive",
        "may_drop",
    ),
    Case(
        "a method that is looked up",
        "migrations.RunPython(forwards, migrations.RunPython.noop)",
        "destructive",
        "deletes_all_rows",
        code="def forwards(apps, editor):\n"
        "    getattr(editor, 'exec' + 'ute')('DELETE FROM {app}_item')\n",
    ),
    Case(
        "a removal of the state",
        'Forget("Item", "name")',
        "safe",
        code="class Forget(migrations.RemoveField):\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        pass\n",
    ),
    Case(
        "a lambda",
        'migrations.RunPython(lambda apps, editor: apps.get_model("{app}.Item")'
        ".objects.all().delete())",
        "destructive",
        "deletes_all_rows irreversible",
    ),
    Case(
        "a helper",
        "migrations.RunPython(forwards, migrations.RunPython.noop)",
        "destructive",
        "deletes_all_rows",
        code="def clean(model):\n    model.objects.all().delete()\n\n\n"
        'def forwards(apps, editor):\n    clean(apps.get_model("{app}", "Item"))\n',
    ),
    Case(
        "an operation of the project",
        "Clean()",
        "destructive",
        "deletes_all_rows",
        code="class Clean(migrations.operations.base.Operation):\n"
        "    def state_forwards(self, app_label, state):\n        pass\n\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        editor.execute('DELETE FROM {app}_item')\n",
    ),
    Case(
        "a derived operation",
        'Remove("Item", "name")',
        "destructive",
        "drops_column_with_data",
        code="class Remove(migrations.RemoveField):\n"
        "    def database_forwards(self, app_label, editor, old, new):\n"
        "        super().database_forwards(app_label, editor, old, new)\n",
    ),
)
