"""A schema as a picture: tables as boxes in columns, foreign keys as lines between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zanith_django.postgres.names import TableName
from zanith_django.schema.graph import Column, ForeignKey, SchemaGraph, Table

DETAILED = 60  # up to this many tables are drawn with their columns
SHOWN = 14  # columns of one box
LINE, HEAD, GAP, SIDE = 16, 24, 24, 70
NARROWEST, WIDEST, LETTER, BOLD = 130, 300, 7, 8
TALL = 1_600  # the height at which a column of boxes continues in another one


@dataclass(frozen=True, slots=True)
class Box:
    """One table, in pixels. `lines` are (y, text) of its columns."""

    name: str
    title: str
    x: int
    y: int
    width: int
    height: int
    lines: tuple[tuple[int, str], ...] = ()
    focused: bool = False

    @property
    def text_x(self) -> int:
        return self.x + 8

    @property
    def title_y(self) -> int:
        return self.y + 16

    @property
    def ruled(self) -> int:
        return self.y + HEAD


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key: the path of its line, and its text."""

    path: str
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and lines, with the size of the whole. `hidden` tables were left out."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
    hidden: int = 0


def picture(graph: SchemaGraph, *, focus: str = "", search: str = "") -> Picture:
    """The picture of tables whose name contains `search`, or of the table `focus` and its related
    tables."""
    every = {table.name: table for table in graph.tables}
    chosen = _chosen(every, focus, search)
    columns = list(_in_columns(chosen))
    boxes = _placed(columns, detailed=len(chosen) <= DETAILED, focus=focus)
    width = max((box.x + box.width for box in boxes.values()), default=0) + GAP
    height = max((box.y + box.height for box in boxes.values()), default=0) + GAP
    links = tuple(_links(chosen.values(), boxes))
    return Picture(width, height, tuple(boxes.values()), links, len(every) - len(chosen))


Tables = Mapping[TableName, Table]


def _chosen(every: Tables, focus: str, search: str) -> dict[TableName, Table]:
    if focus:
        near = {name for name in every if str(name) == focus}
        keys = [(table.name, key.references) for table in every.values() for key in _keys(table)]
        near |= {b for a, b in keys if str(a) == focus} | {a for a, b in keys if str(b) == focus}
        return {name: table for name, table in every.items() if name in near}
    wanted = search.lower()
    return {name: table for name, table in every.items() if wanted in str(name).lower()}


def _keys(table: Table) -> Iterator[ForeignKey]:
    yield from table.foreign_keys


def _in_columns(tables: Tables) -> Iterator[list[Table]]:
    """Places each table to the right of those that it references, near its related ones."""
    depths = _depths(tables)
    layers: dict[int, list[Table]] = defaultdict(list)
    for name, table in tables.items():
        layers[depths[name]].append(table)
    places: dict[TableName, float] = {}
    for depth in sorted(layers):
        layer = sorted(layers[depth], key=lambda table: (_middle(table, places), table.name))
        places.update({table.name: place for place, table in enumerate(layer)})
        yield layer


def _middle(table: Table, places: Mapping[TableName, float]) -> float:
    """The average position of the tables that it references."""
    near = [places[key.references] for key in _keys(table) if key.references in places]
    return sum(near) / len(near) if near else len(places)


def _depths(tables: Tables) -> dict[TableName, int]:
    """{table: the longest chain of foreign keys from it}, without cycles."""
    depths: dict[TableName, int] = {}
    for start in tables:
        stack, open_ = [start], {start}
        while stack:
            name = stack[-1]
            targets = [k.references for k in _keys(tables[name]) if k.references in tables]
            waiting = next((t for t in targets if t not in depths and t not in open_), None)
            if waiting is not None:
                stack.append(waiting)
                open_.add(waiting)
                continue
            known = [depths[target] for target in targets if target in depths and target != name]
            depths.setdefault(name, max(known, default=-1) + 1)
            stack.pop()
    return depths


def _placed(
    columns: Iterable[Sequence[Table]], *, detailed: bool, focus: str
) -> dict[TableName, Box]:
    boxes: dict[TableName, Box] = {}
    x = GAP
    for tables in columns:
        y, widest = GAP, 0
        for table in tables:
            box = _box(table, x, y, detailed=detailed, focus=focus)
            if y > GAP and y + box.height > TALL:
                x, y, widest = x + widest + SIDE, GAP, 0
                box = _box(table, x, y, detailed=detailed, focus=focus)
            boxes[table.name] = box
            y, widest = y + box.height + GAP, max(widest, box.width)
        x += widest + SIDE
    return boxes


def _box(table: Table, x: int, y: int, *, detailed: bool, focus: str) -> Box:
    texts = list(_texts(table)) if detailed else []
    name = str(table.name)
    longest = max(len(name) * BOLD, *(len(text) * LETTER for text in texts), 0)
    width = min(max(longest + 16, NARROWEST), WIDEST)
    room = (width - 16) // LETTER
    lines = tuple(
        (y + HEAD + LINE * number - 4, _cut(text, room)) for number, text in enumerate(texts, 1)
    )
    height = HEAD + LINE * len(texts) + (4 if texts else 0)
    title = _cut(name, (width - 16) // BOLD)
    return Box(name, title, x, y, width, height, lines, name == focus)


def _texts(table: Table) -> Iterator[str]:
    primary = set(table.primary_key.columns) if table.primary_key else set()
    pointing = {name for key in table.foreign_keys for name in key.columns}
    for column in table.columns[:SHOWN]:
        yield f"{column.name} {column.type}{_marks(column, primary, pointing)}"
    if len(table.columns) > SHOWN:
        yield f"… {len(table.columns) - SHOWN} more"


def _marks(column: Column, primary: Collection[str], pointing: Collection[str]) -> str:
    marks = ((column.name in primary, " PK"), (column.name in pointing, " FK"))
    return "".join(mark for true, mark in marks if true)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _links(tables: Iterable[Table], boxes: Mapping[TableName, Box]) -> Iterator[Link]:
    for table in tables:
        for key in _keys(table):
            if key.references in boxes:
                title = f"{table.name} ({', '.join(key.columns)}) → {key.references}"
                yield Link(_path(boxes[table.name], boxes[key.references]), title)


def _path(start: Box, end: Box) -> str:
    """The line from one box to the near side of the other; a loop for a key to its own table."""
    y1, y2 = start.y + HEAD // 2, end.y + HEAD // 2
    if start is end:
        x = start.x + start.width
        return f"M {x} {y1} C {x + 40} {y1 - 20}, {x + 40} {y1 + 30}, {x} {y1 + 10}"
    right = end.x > start.x
    x1 = start.x + (start.width if right else 0)
    x2 = end.x + (0 if right else end.width)
    bend = 40 if right else -40
    if abs(start.x - end.x) < NARROWEST:  # one over the other
        x1, x2, bend = start.x, end.x, -40
        return f"M {x1} {y1} C {x1 + bend} {y1}, {x2 + bend} {y2}, {x2} {y2}"
    return f"M {x1} {y1} C {x1 + bend} {y1}, {x2 - bend} {y2}, {x2} {y2}"


# --- Mermaid -------------------------------------------------------------------------------------


def mermaid(graph: SchemaGraph) -> Iterator[str]:
    """The schema as an entity relationship diagram in Mermaid."""
    yield "erDiagram"
    for table in graph.tables:
        primary = set(table.primary_key.columns) if table.primary_key else set()
        pointing = {name for key in table.foreign_keys for name in key.columns}
        yield f"    {_entity(table.name)} {{"
        for column in table.columns:
            keys = _marks(column, primary, pointing).split()
            yield f"        {_word(column.type)} {_word(column.name)} {', '.join(keys)}".rstrip()
        yield "    }"
    for table in graph.tables:
        for key in table.foreign_keys:
            label = " ".join(_word(name) for name in key.columns)
            yield f'    {_entity(key.references)} ||--o{{ {_entity(table.name)} : "{label}"'


def _entity(name: TableName) -> str:
    """The name in quotes, without characters that would end the quotes or the line."""
    return '"' + "".join(c if c.isprintable() and c not in '"%\\' else "_" for c in str(name)) + '"'


def _word(text: str) -> str:
    word = "".join(c if c.isalnum() or c == "_" else "_" for c in text)
    return word if word[:1].isalpha() else f"_{word}"
