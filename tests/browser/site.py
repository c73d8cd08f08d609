"""The project whose admin the browser visits: its settings, its data, its server."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.project import BASE_APPS, MANAGE, SETTINGS, Project
from tests.releases import Releases
from tests.rollback.test_rollback import (
    ADD_NICK,
    UNIQUE_EMAIL,
    USERS_TABLE,
    login_released,
    two_users,
)
from tests.servers import Database, Server
from zanith_django.operations import SoftDropColumn
from zanith_django.schema.graph import Column, Table

ADMIN_APPS = [
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin",
]
DROP_SIZE = SoftDropColumn.of(
    Table(USERS_TABLE, (Column("size", "integer"),)), Column("size", "integer")
)
RISKY = ("--max-risk", "100", "--allow-destructive", "--no-preflight")
PASSWORD = "a password for tests"
THEMES = {"plain": "", "unfold": "unfold", "jazzmin": "jazzmin"}

MORE_SETTINGS = """
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
DEBUG = True
ALLOWED_HOSTS = ["localhost"]
DATABASES["default"]["ATOMIC_REQUESTS"] = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = {"version": 1, "disable_existing_loggers": True}
MIDDLEWARE = [
    "policy.ContentPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
STRICT = True
"""
IMPATIENT = """
ZANITH = {"LOCK_TIMEOUT": 0.2, "LOCK_RETRIES": 0}
"""
THEMED = """
from settings import *
INSTALLED_APPS = ["{theme}", *INSTALLED_APPS]
STRICT = False
"""
URLS = """
from django.contrib import admin
from django.urls import path

from zanith_django.admin import register

other = admin.AdminSite(name="other")
register(other)
urlpatterns = [path("admin/", admin.site.urls), path("other/", other.urls)]
"""
POLICY = """
from django.conf import settings

class ContentPolicy:
    \"\"\"What a strict site asks of every page.\"\"\"

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if settings.STRICT:
            response["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:"
        return response
"""
USERS = f"""
from django.contrib.auth.models import Permission, User
User.objects.create_superuser("root", password={PASSWORD!r})
viewer = User.objects.create_user("viewer", password={PASSWORD!r}, is_staff=True)
viewer.user_permissions.set(Permission.objects.filter(
    content_type__app_label="zanith_django", codename__startswith="view_"
).exclude(codename__in=["view_sql", "view_plan"]))
"""


def build(folder: Path, database: Database) -> Project:
    """A project with two soft-dropped columns, the second by a migration that failed."""
    project = _project(folder, database)
    releases = Releases(project)
    login_released(releases)
    project.sql("INSERT INTO users (email) VALUES ('a'); ALTER TABLE users ADD size int")
    releases.file("unique_email", [DROP_SIZE, UNIQUE_EMAIL])
    assert project.manage("zanith_apply", *RISKY).returncode == 1
    project.manage("shell", "-c", USERS, check=True)
    return project


def blocked(folder: Path, database: Database) -> Project:
    """A project whose deploy failed: while it added users.nick, another session held a lock."""
    project = _project(folder, database)
    project.write("settings.py", (folder / "settings.py").read_text() + IMPATIENT)
    releases = Releases(project)
    two_users(releases)
    releases.file("nick", [ADD_NICK])
    with database.connect() as session, session.transaction():
        session.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        assert project.manage("zanith_apply").returncode == 1
    project.manage("shell", "-c", USERS, check=True)
    return project


def _project(folder: Path, database: Database) -> Project:
    project = Project(folder, database)
    project.write("manage.py", MANAGE)
    apps = [*BASE_APPS, *ADMIN_APPS, "people"]
    project.write("settings.py", SETTINGS.format(apps=apps) + MORE_SETTINGS)
    for theme in filter(None, THEMES.values()):
        project.write(f"settings_{theme}.py", THEMED.format(theme=theme))
    project.write("urls.py", URLS)
    project.write("policy.py", POLICY)
    project.add_app("people", "")
    return project


@contextmanager
def serving(project: Project, theme: str) -> Iterator[str]:
    """The address of a server of that project under a theme."""
    module = f"settings_{THEMES[theme]}" if THEMES[theme] else "settings"
    port = _free_port()
    address = f"http://localhost:{port}"
    environment = project.environment() | {"DJANGO_SETTINGS_MODULE": module}
    command = [sys.executable, "manage.py", "runserver", "--noreload", "--insecure", str(port)]
    with (project.root / f"{theme}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=project.root, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, address)
        yield address
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port: int = listener.getsockname()[1]
    return port


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/admin/login/").close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(f"no server at {address}")


def database(server: Server) -> Database:
    name = server.create_database()
    return Database(name, server.url(name))
