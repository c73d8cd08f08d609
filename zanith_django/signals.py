"""Django signals of a run; what a receiver raises is logged and never stops the run.

Each is sent with `using` (the alias of the database), `migration` (its id) and, for steps, `step`
(its number), `kind`, `target`, `level`, `score` and `backwards` (a rollback undoes it). Receivers
take `**kwargs`, because more arguments may be added.
"""

from __future__ import annotations

from django.dispatch import Signal

# The step is `running`, and that is committed.
step_started = Signal()

# The step is `done`, or `rolled_back`; `seconds` is how long it took. What it did is committed,
# but for an atomic migration of Django's, which commits at its end.
step_finished = Signal()

# The migration is recorded; `seconds`, `steps` (how many ran) and `backwards`.
migration_applied = Signal()

# The run ended early; `error` is the exception, `migration` and `step` are "" and 0 if none ran.
run_failed = Signal()
