"""An example of every reason: changes that get it, and safer ones."""

from __future__ import annotations

from tests.reasons import code, columns, constraints, objects, obstacles, rows, tables, work
from tests.reasons.example import Example

EXAMPLES: dict[str, Example] = {
    **columns.EXAMPLES,
    **tables.EXAMPLES,
    **constraints.EXAMPLES,
    **work.EXAMPLES,
    **rows.EXAMPLES,
    **code.EXAMPLES,
    **objects.EXAMPLES,
    **obstacles.EXAMPLES,
}
