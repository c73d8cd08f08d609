"""The operations of migrations: one frozen class per kind of change."""

from zanith_django.operations.base import KINDS, Context, Default, Operation, Statement
from zanith_django.operations.column_types import AlterColumnType, AlterGenerated
from zanith_django.operations.column_values import (
    AlterColumnDefault,
    AlterColumnIdentity,
    AlterColumnNullable,
)
from zanith_django.operations.columns import AddColumn, AddGeneratedColumn, DropColumn, RenameColumn
from zanith_django.operations.constraints import (
    AddCheck,
    AddExclusion,
    DropCheck,
    DropExclusion,
    RenameConstraint,
    ValidateConstraint,
)
from zanith_django.operations.data import Backfill, RawSql, RunPython
from zanith_django.operations.deferrability import AlterForeignKey
from zanith_django.operations.django import DjangoOperation
from zanith_django.operations.extensions import (
    CreateCollation,
    CreateExtension,
    CreateSchema,
    DropCollation,
    DropExtension,
)
from zanith_django.operations.foreign_keys import AddForeignKey, DropForeignKey
from zanith_django.operations.index_options import AlterIndexOptions
from zanith_django.operations.indexes import AddIndex, DropIndex, RenameIndex
from zanith_django.operations.keep.archives import ArchiveColumn, ArchiveTable
from zanith_django.operations.keep.restores import RestoreColumn, RestoreTable
from zanith_django.operations.keep.soft_drops import SoftDropColumn, SoftDropTable
from zanith_django.operations.online.dual_writes import EndDualWrite, MergeColumns, SplitColumn
from zanith_django.operations.online.forms import Derived
from zanith_django.operations.online.rebuild import RebuildTable
from zanith_django.operations.policies import (
    AlterPolicy,
    CreatePolicy,
    DisableRls,
    DropPolicy,
    EnableRls,
)
from zanith_django.operations.tables import (
    AlterTableOptions,
    CreateTable,
    DropTable,
    RenameTable,
    SetComment,
)
from zanith_django.operations.uniques import AddUnique, AlterPrimaryKey, DropUnique

__all__ = [
    "KINDS",
    "AddCheck",
    "AddColumn",
    "AddExclusion",
    "AddForeignKey",
    "AddGeneratedColumn",
    "AddIndex",
    "AddUnique",
    "AlterColumnDefault",
    "AlterColumnIdentity",
    "AlterColumnNullable",
    "AlterColumnType",
    "AlterForeignKey",
    "AlterGenerated",
    "AlterIndexOptions",
    "AlterPolicy",
    "AlterPrimaryKey",
    "AlterTableOptions",
    "ArchiveColumn",
    "ArchiveTable",
    "Backfill",
    "Context",
    "CreateCollation",
    "CreateExtension",
    "CreatePolicy",
    "CreateSchema",
    "CreateTable",
    "Default",
    "Derived",
    "DisableRls",
    "DjangoOperation",
    "DropCheck",
    "DropCollation",
    "DropColumn",
    "DropExclusion",
    "DropExtension",
    "DropForeignKey",
    "DropIndex",
    "DropPolicy",
    "DropTable",
    "DropUnique",
    "EnableRls",
    "EndDualWrite",
    "MergeColumns",
    "Operation",
    "RawSql",
    "RebuildTable",
    "RenameColumn",
    "RenameConstraint",
    "RenameIndex",
    "RenameTable",
    "RestoreColumn",
    "RestoreTable",
    "RunPython",
    "SetComment",
    "SoftDropColumn",
    "SoftDropTable",
    "SplitColumn",
    "Statement",
    "ValidateConstraint",
]
