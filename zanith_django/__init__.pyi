"""Written by `python -m tests.stub`: the language of migration files, for type checkers."""

from zanith_django import operations as _operations
from zanith_django.files.migration import Migration as Migration
from zanith_django.operations import (
    KINDS as KINDS,
    ArchiveTable as ArchiveTable,
    Context as Context,
    CreateCollation as CreateCollation,
    CreateExtension as CreateExtension,
    CreateSchema as CreateSchema,
    CreateTable as CreateTable,
    Default as Default,
    Derived as Derived,
    DjangoOperation as DjangoOperation,
    DropCollation as DropCollation,
    DropExtension as DropExtension,
    DropTable as DropTable,
    Operation as Operation,
    RawSql as RawSql,
    RestoreTable as RestoreTable,
    RunPython as RunPython,
    SoftDropTable as SoftDropTable,
    Statement as Statement,
)
from zanith_django.operations.policies import PolicyPairs as _PolicyPairs
from zanith_django.postgres.names import TableName as TableName
from zanith_django.schema import dependents as _dependents, graph as _graph, parts as _parts
from zanith_django.schema.graph import Extension as Extension, IndexKey as IndexKey
from zanith_django.schema.parts import (
    Check as Check,
    Column as Column,
    Exclusion as Exclusion,
    Policy as Policy,
    PrimaryKey as PrimaryKey,
    Unique as Unique,
)

__version__: str

class AddCheck(_operations.AddCheck):
    def __init__(
        self, *, table: TableName | str, check: _parts.Check, model: str = ...
    ) -> None: ...

class AddColumn(_operations.AddColumn):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: _parts.Column,
        default: _operations.Default | None = ...,
        model: str = ...,
    ) -> None: ...

class AddExclusion(_operations.AddExclusion):
    def __init__(
        self, *, table: TableName | str, exclusion: _parts.Exclusion, model: str = ...
    ) -> None: ...

class AddForeignKey(_operations.AddForeignKey):
    def __init__(
        self, *, table: TableName | str, foreign_key: _parts.ForeignKey, model: str = ...
    ) -> None: ...

class AddGeneratedColumn(_operations.AddGeneratedColumn):
    def __init__(
        self, *, table: TableName | str, column: _parts.Column, model: str = ...
    ) -> None: ...

class AddIndex(_operations.AddIndex):
    def __init__(
        self, *, table: TableName | str, index: _parts.Index, model: str = ...
    ) -> None: ...

class AddUnique(_operations.AddUnique):
    def __init__(
        self, *, table: TableName | str, unique: _parts.Unique, model: str = ...
    ) -> None: ...

class AlterColumnDefault(_operations.AlterColumnDefault):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: str,
        old: str | None = ...,
        new: str | None = ...,
        model: str = ...,
    ) -> None: ...

class AlterColumnIdentity(_operations.AlterColumnIdentity):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: str,
        old: str = ...,
        new: str = ...,
        model: str = ...,
    ) -> None: ...

class AlterColumnNullable(_operations.AlterColumnNullable):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: str,
        nullable: bool,
        fill: str = ...,
        default: _operations.Default | None = ...,
        model: str = ...,
    ) -> None: ...

class AlterColumnType(_operations.AlterColumnType):
    def __init__(
        self,
        *,
        table: TableName | str,
        old: _parts.Column,
        new: _parts.Column,
        using: str = ...,
        undo: bool = ...,
        in_place: bool = ...,
        policies: _PolicyPairs = ...,
        model: str = ...,
    ) -> None: ...

class AlterForeignKey(_operations.AlterForeignKey):
    def __init__(
        self,
        *,
        table: TableName | str,
        name: str,
        old: str = ...,
        new: str = ...,
        foreign_key: _parts.ForeignKey | None = ...,
        model: str = ...,
    ) -> None: ...

class AlterGenerated(_operations.AlterGenerated):
    def __init__(
        self, *, table: TableName | str, old: _parts.Column, new: _parts.Column, model: str = ...
    ) -> None: ...

class AlterIndexOptions(_operations.AlterIndexOptions):
    def __init__(
        self,
        *,
        table: TableName | str,
        index: str,
        method: str = ...,
        old: tuple[str, ...] = ...,
        new: tuple[str, ...] = ...,
        model: str = ...,
    ) -> None: ...

class AlterPolicy(_operations.AlterPolicy):
    def __init__(
        self, *, table: TableName | str, old: _parts.Policy, new: _parts.Policy, model: str = ...
    ) -> None: ...

class AlterPrimaryKey(_operations.AlterPrimaryKey):
    def __init__(
        self,
        *,
        table: TableName | str,
        old: _parts.PrimaryKey | None = ...,
        new: _parts.PrimaryKey | None = ...,
        model: str = ...,
    ) -> None: ...

class AlterTableOptions(_operations.AlterTableOptions):
    def __init__(
        self,
        *,
        table: TableName | str,
        old: tuple[str, ...] = ...,
        new: tuple[str, ...] = ...,
        model: str = ...,
    ) -> None: ...

class ArchiveColumn(_operations.ArchiveColumn):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: _parts.Column,
        uniques: tuple[_parts.Unique, ...] = ...,
        foreign_keys: tuple[_parts.ForeignKey, ...] = ...,
        checks: tuple[_parts.Check, ...] = ...,
        exclusions: tuple[_parts.Exclusion, ...] = ...,
        indexes: tuple[_parts.Index, ...] = ...,
        policies: tuple[_parts.Policy, ...] = ...,
        key: tuple[str, ...],
        model: str = ...,
    ) -> None: ...

class Backfill(_operations.Backfill):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: str,
        value: str = ...,
        once: bool = ...,
        python: str = ...,
        default: _operations.Default | None = ...,
        where: str = ...,
        model: str = ...,
    ) -> None: ...

class CreatePolicy(_operations.CreatePolicy):
    def __init__(
        self, *, table: TableName | str, policy: _parts.Policy, model: str = ...
    ) -> None: ...

class DisableRls(_operations.DisableRls):
    def __init__(self, *, table: TableName | str, force: bool = ..., model: str = ...) -> None: ...

class DropCheck(_operations.DropCheck):
    def __init__(
        self, *, table: TableName | str, check: _parts.Check, model: str = ...
    ) -> None: ...

class DropColumn(_operations.DropColumn):
    def __init__(
        self, *, table: TableName | str, column: _parts.Column, model: str = ...
    ) -> None: ...

class DropExclusion(_operations.DropExclusion):
    def __init__(
        self, *, table: TableName | str, exclusion: _parts.Exclusion, model: str = ...
    ) -> None: ...

class DropForeignKey(_operations.DropForeignKey):
    def __init__(
        self, *, table: TableName | str, foreign_key: _parts.ForeignKey, model: str = ...
    ) -> None: ...

class DropIndex(_operations.DropIndex):
    def __init__(
        self, *, table: TableName | str, index: _parts.Index, model: str = ...
    ) -> None: ...

class DropPolicy(_operations.DropPolicy):
    def __init__(
        self, *, table: TableName | str, policy: _parts.Policy, model: str = ...
    ) -> None: ...

class DropUnique(_operations.DropUnique):
    def __init__(
        self, *, table: TableName | str, unique: _parts.Unique, model: str = ...
    ) -> None: ...

class EnableRls(_operations.EnableRls):
    def __init__(
        self, *, table: TableName | str, force: bool = ..., already: bool = ..., model: str = ...
    ) -> None: ...

class EndDualWrite(_operations.EndDualWrite):
    def __init__(
        self,
        *,
        table: TableName | str,
        old: tuple[_operations.Derived, ...],
        new: tuple[_operations.Derived, ...],
        keeps: str = ...,
        model: str = ...,
    ) -> None: ...

class MergeColumns(_operations.MergeColumns):
    def __init__(
        self,
        *,
        table: TableName | str,
        sources: tuple[_operations.Derived, ...],
        into: _operations.Derived,
        resumed: bool = ...,
        model: str = ...,
    ) -> None: ...

class RebuildTable(_operations.RebuildTable):
    def __init__(
        self,
        *,
        table: TableName | str,
        old: tuple[_parts.Column, ...] = ...,
        new: tuple[_parts.Column, ...] = ...,
        values: tuple[tuple[str, str], ...] = ...,
        undo: bool = ...,
        model: str = ...,
    ) -> None: ...

class RenameColumn(_operations.RenameColumn):
    def __init__(self, *, table: TableName | str, old: str, new: str, model: str = ...) -> None: ...

class RenameConstraint(_operations.RenameConstraint):
    def __init__(
        self,
        *,
        table: TableName | str,
        old: str,
        new: str,
        unique: _parts.Unique | None = ...,
        foreign_key: _parts.ForeignKey | None = ...,
        check: _parts.Check | None = ...,
        exclusion: _parts.Exclusion | None = ...,
        model: str = ...,
    ) -> None: ...

class RenameIndex(_operations.RenameIndex):
    def __init__(
        self,
        *,
        table: TableName | str,
        old: str,
        new: str,
        index: _parts.Index | None = ...,
        model: str = ...,
    ) -> None: ...

class RenameTable(_operations.RenameTable):
    def __init__(self, *, old: TableName | str, new: TableName | str, model: str = ...) -> None: ...

class RestoreColumn(_operations.RestoreColumn):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: _parts.Column,
        uniques: tuple[_parts.Unique, ...] = ...,
        foreign_keys: tuple[_parts.ForeignKey, ...] = ...,
        checks: tuple[_parts.Check, ...] = ...,
        exclusions: tuple[_parts.Exclusion, ...] = ...,
        indexes: tuple[_parts.Index, ...] = ...,
        policies: tuple[_parts.Policy, ...] = ...,
        artifact_id: str = ...,
        key: tuple[str, ...] = ...,
        lost: tuple[str, ...] = ...,
        model: str = ...,
    ) -> None: ...

class SetComment(_operations.SetComment):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: str = ...,
        constraint: str = ...,
        index: str = ...,
        policy: str = ...,
        old: str = ...,
        new: str = ...,
        model: str = ...,
    ) -> None: ...

class SoftDropColumn(_operations.SoftDropColumn):
    def __init__(
        self,
        *,
        table: TableName | str,
        column: _parts.Column,
        uniques: tuple[_parts.Unique, ...] = ...,
        foreign_keys: tuple[_parts.ForeignKey, ...] = ...,
        checks: tuple[_parts.Check, ...] = ...,
        exclusions: tuple[_parts.Exclusion, ...] = ...,
        indexes: tuple[_parts.Index, ...] = ...,
        policies: tuple[_parts.Policy, ...] = ...,
        model: str = ...,
    ) -> None: ...

class SplitColumn(_operations.SplitColumn):
    def __init__(
        self,
        *,
        table: TableName | str,
        source: _operations.Derived,
        into: tuple[_operations.Derived, ...],
        resumed: bool = ...,
        model: str = ...,
    ) -> None: ...

class ValidateConstraint(_operations.ValidateConstraint):
    def __init__(self, *, table: TableName | str, name: str, model: str = ...) -> None: ...

class Collation(_graph.Collation):  # type: ignore[misc]  # final
    def __init__(
        self, name: TableName | str, provider: str, locale: str, deterministic: bool = ...
    ) -> None: ...

class Table(_graph.Table):  # type: ignore[misc]  # final
    def __init__(
        self,
        name: TableName | str,
        columns: tuple[_parts.Column, ...] = ...,
        primary_key: _parts.PrimaryKey | None = ...,
        uniques: tuple[_parts.Unique, ...] = ...,
        foreign_keys: tuple[_parts.ForeignKey, ...] = ...,
        checks: tuple[_parts.Check, ...] = ...,
        exclusions: tuple[_parts.Exclusion, ...] = ...,
        indexes: tuple[_parts.Index, ...] = ...,
        policies: tuple[_parts.Policy, ...] = ...,
        triggers: tuple[_dependents.Trigger, ...] = ...,
        rules: tuple[_dependents.Rule, ...] = ...,
        statistics: tuple[_dependents.Statistics, ...] = ...,
        row_security: bool = ...,
        force_row_security: bool = ...,
        comment: str = ...,
        options: tuple[str, ...] = ...,
        tablespace: str = ...,
        unlogged: bool = ...,
        partition_key: str = ...,
        partition_of: TableName | None = ...,
        partition_bound: str = ...,
        inherits: tuple[TableName, ...] = ...,
        replica_identity: str = ...,
    ) -> None: ...

class ForeignKey(_parts.ForeignKey):  # type: ignore[misc]  # final
    def __init__(
        self,
        name: str,
        columns: tuple[str, ...],
        references: TableName | str,
        referenced_columns: tuple[str, ...],
        on_delete: str = ...,
        on_update: str = ...,
        match: str = ...,
        deferrable: str = ...,
        valid: bool = ...,
        enforced: bool = ...,
        comment: str = ...,
        period: bool = ...,
    ) -> None: ...

class Index(_parts.Index):  # type: ignore[misc]  # final
    def __init__(
        self,
        name: str,
        keys: tuple[_parts.IndexKey | str, ...],
        method: str = ...,
        unique: bool = ...,
        include: tuple[str, ...] = ...,
        predicate: str = ...,
        nulls_not_distinct: bool = ...,
        options: tuple[str, ...] = ...,
        tablespace: str = ...,
        valid: bool = ...,
        columns: tuple[str, ...] = ...,
        comment: str = ...,
    ) -> None: ...
