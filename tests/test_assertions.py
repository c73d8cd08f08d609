"""The assertions for the tests of a project, in such tests."""

from __future__ import annotations

import pytest

from tests.copies import Copy
from tests.plan.test_offline_plan import SECOND, a_branch
from tests.project import Project


@pytest.fixture
def branch(copy_of: Copy) -> Project:
    return copy_of(a_branch).project


def outcome(project: Project, call: str) -> str:
    """What a test of the project sees: nothing, a warning, or the error with its notes."""
    code = f"""
import warnings
from zanith_django.testing import assert_no_drift, assert_plan_within

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        {call}
    except Exception as error:
        print(type(error).__name__, error, *getattr(error, "__notes__", ()), sep="\\n")
    print(*(each.message for each in caught if each.category is UserWarning))
"""
    return project.manage("shell", "-v", "0", "-c", code, check=True).stdout.strip()


# --- the plan ------------------------------------------------------------------------------------


def test_a_branch_over_the_budget_fails_with_all_that_is_needed_to_fix_it(branch: Project) -> None:
    words = outcome(branch, "assert_plan_within(35, since='main')").splitlines()
    assert words[:3] == [
        "AssertionError",
        "The plan is not within 35:",
        f"  {SECOND}: Step 02 (addUnique) scores 60 · over the budget of 35 (shop_book(title))",
    ]
    assert any(word.startswith("    breaks_running_code: ") for word in words)
    assert any(word.startswith("    adds_unique_constraint: ") for word in words)
    assert words[-1] == "Run zanith_plan --since main --max-risk 35 to see the whole plan."


def test_a_branch_within_the_budget_passes(branch: Project) -> None:
    assert outcome(branch, "assert_plan_within(60, since='main')") == ""
    assert outcome(branch, "assert_plan_within(35, since='branch')") == ""


def test_other_apps_do_not_count(branch: Project) -> None:
    branch.add_app("cafe", "")
    settings = branch.root / "settings.py"
    settings.write_text(settings.read_text().replace("'shop'", "'shop', 'cafe'"))
    assert outcome(branch, "assert_plan_within(35, apps=['cafe'], since='main')") == ""
    both = outcome(branch, "assert_plan_within(35, apps=['cafe', 'shop'], since='main')")
    assert both.startswith("AssertionError")
    unknown = outcome(branch, "assert_plan_within(35, apps=['shpo'], since='main')")
    assert unknown.startswith("UnknownApp")


def test_without_a_ref_the_plan_is_what_is_pending_on_the_database(branch: Project) -> None:
    branch.manage("zanith_apply", "--steps", "1", check=True)
    branch.sql("INSERT INTO shop_book (title) VALUES ('a')")
    words = outcome(branch, "assert_plan_within(35)")
    assert "Step 02 (addUnique) scores 60" in words
    assert words.endswith("Run zanith_plan --max-risk 35 to see the whole plan.")
    branch.manage("zanith_apply", check=True)
    assert outcome(branch, "assert_plan_within(35)") == (
        "Nothing is pending on 'default': name a git ref, such as since='origin/main'."
    )


def test_a_wrong_ref_is_an_error_with_its_hint(branch: Project) -> None:
    words = outcome(branch, "assert_plan_within(35, since='nowhere')").splitlines()
    assert words[0] == "InvalidArgument"
    assert words[-1] == "Name a branch, tag or commit."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("None", "max_risk is None, not a number from 0 to 100."),
        ("'35'", "max_risk is '35', not a number from 0 to 100."),
        ("1000", "max_risk is 1000, not a number from 0 to 100."),
        ("True", "max_risk is True, not a number from 0 to 100."),
        ("35, apps='shop'", "apps is 'shop', not a list of labels."),
        ("35, since=''", "since is '', not a git ref."),
    ],
)
def test_a_wrong_argument_is_an_error(branch: Project, arguments: str, words: str) -> None:
    said = outcome(branch, f"assert_plan_within({arguments})").splitlines()
    assert said == ["InvalidArgument", words]


# --- drift ---------------------------------------------------------------------------------------


def test_a_pending_migration_without_a_file_is_named(branch: Project) -> None:
    branch.write("shop/zanith_migrations/__init__.py", "")
    for file in (branch.root / "shop" / "zanith_migrations").glob("2*.py"):
        file.unlink()
    branch.manage("zanith_apply", "--steps", "1", check=True)
    words = outcome(branch, "assert_no_drift()").splitlines()
    assert words[0] == "AssertionError"
    assert words[-1].startswith("Pending migrations may: django:shop.0002")


def test_a_database_that_drifted_is_reported_with_the_next_command(branch: Project) -> None:
    branch.manage("zanith_apply", "--max-risk", "100", check=True)
    assert outcome(branch, "assert_no_drift()") == ""
    branch.sql("ALTER TABLE shop_book ALTER title DROP NOT NULL, ADD mine integer")
    words = outcome(branch, "assert_no_drift()").splitlines()
    assert words[:2] == [
        "AssertionError",
        "The database 'default' differs from the models, and no migration explains it:",
    ]
    assert words[2].startswith("  alterColumnNullable shop_book.title: ")
    assert words[3:] == ["Run zanith_generate --from-diff to write a migration for it."]
