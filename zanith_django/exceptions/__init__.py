"""Every error of zanith, in one tree; words for people are in `__str__`, the next step in `hint`.

ZanithError
├── Refused              exit 1: refused
│   ├── Blocked, Differs, NotVerified: the output shows why
│   ├── GateRefused, StepFailed, LockNotAcquired, ChangesFound
│   ├── FileEdited, FileMissing, PartlyApplied, ConflictingLeaves, InconsistentRecord, NotAdopted,
│   │   CannotAdopt, DeferredChanged, DefaultGone, IndexTaken, InTheWay, LockLost
│   ├── HalfRolledBack, CannotUndo, CannotAlter, CannotDrop, CannotRestore, CannotPurge, NotPurged,
│   │   ArtifactMissing, ArtifactForged, RowsHidden, RowsLeft
│   └── NoTerminal, RenameUnanswered
├── UsageError           exit 2: a wrong argument
│   ├── UnknownApp, UnknownMigration, UnknownSchema, UnknownReason, UnknownArtifact
│   └── InvalidArgument, InvalidName, NameTooLong
└── EnvironmentProblem   exit 3: settings, connection, rights, versions, files that do not import
    ├── NotPostgreSQL, ServerTooOld, ConnectionFailed, ConnectionLost, BadSetting, BrokenFile,
    │   CannotWrite, NoManagedApps
    ├── MissingRight, PooledConnection, ShadowUnreachable, ShadowUnsuited, ShadowFailed,
    │   UnreadableModel
    ├── LedgerDamaged, LedgerHeld, LedgerKeyLost, RefusedByServer
    └── UnreadableGraph      a graph's broken JSON; UnknownGraphVersion: a too new one
"""

from __future__ import annotations

from zanith_django.exceptions.arguments import (
    InvalidArgument as InvalidArgument,
    InvalidName as InvalidName,
    NameTooLong as NameTooLong,
    NoTerminal as NoTerminal,
    RenameUnanswered as RenameUnanswered,
    UnknownApp as UnknownApp,
    UnknownArtifact as UnknownArtifact,
    UnknownMigration as UnknownMigration,
    UnknownReason as UnknownReason,
    UnknownSchema as UnknownSchema,
)
from zanith_django.exceptions.base import (
    EnvironmentProblem as EnvironmentProblem,
    Refused as Refused,
    UsageError as UsageError,
    ZanithError as ZanithError,
)
from zanith_django.exceptions.changes import (
    ArtifactForged as ArtifactForged,
    ArtifactMissing as ArtifactMissing,
    CannotAlter as CannotAlter,
    CannotDrop as CannotDrop,
    CannotPurge as CannotPurge,
    CannotRestore as CannotRestore,
    CannotUndo as CannotUndo,
    NotPurged as NotPurged,
    RowsHidden as RowsHidden,
    RowsLeft as RowsLeft,
)
from zanith_django.exceptions.environment import (
    BadSetting as BadSetting,
    BrokenFile as BrokenFile,
    CannotWrite as CannotWrite,
    ConnectionFailed as ConnectionFailed,
    ConnectionLost as ConnectionLost,
    LedgerDamaged as LedgerDamaged,
    LedgerHeld as LedgerHeld,
    LedgerKeyLost as LedgerKeyLost,
    MissingRight as MissingRight,
    NoManagedApps as NoManagedApps,
    NotPostgreSQL as NotPostgreSQL,
    PooledConnection as PooledConnection,
    RefusedByServer as RefusedByServer,
    ServerTooOld as ServerTooOld,
    ShadowFailed as ShadowFailed,
    ShadowUnreachable as ShadowUnreachable,
    ShadowUnsuited as ShadowUnsuited,
    UnknownGraphVersion as UnknownGraphVersion,
    UnreadableGraph as UnreadableGraph,
    UnreadableModel as UnreadableModel,
)
from zanith_django.exceptions.gates import (
    Blocked as Blocked,
    ChangesFound as ChangesFound,
    Differs as Differs,
    GateRefused as GateRefused,
    NotVerified as NotVerified,
)
from zanith_django.exceptions.runs import (
    CannotAdopt as CannotAdopt,
    ConflictingLeaves as ConflictingLeaves,
    DefaultGone as DefaultGone,
    DeferredChanged as DeferredChanged,
    FileEdited as FileEdited,
    FileMissing as FileMissing,
    HalfRolledBack as HalfRolledBack,
    InconsistentRecord as InconsistentRecord,
    IndexTaken as IndexTaken,
    InTheWay as InTheWay,
    LockLost as LockLost,
    LockNotAcquired as LockNotAcquired,
    NotAdopted as NotAdopted,
    PartlyApplied as PartlyApplied,
    StepFailed as StepFailed,
)
