"""Settings of the shop: DATABASE_URL and SHADOW_DATABASE_URL, both optional, choose databases."""

from pathlib import Path
from typing import Any

import environ

from example_project import database

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

SECRET_KEY = env("SECRET_KEY", default="an example has no secrets")
DEBUG = env.bool("DEBUG", default=True)
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

DATABASES = {
    "default": database.from_url(env("DATABASE_URL", default="") or database.embedded_url())
}

ZANITH: dict[str, Any] = {
    # "MODE": "production",  # caps a plan's risk at 60; staging at 80, development at 100
    # "LOCK_TIMEOUT": 2,  # seconds that a step may make readers or writers wait
}
if env("SHADOW_DATABASE_URL", default=""):
    ZANITH["SHADOW"] = env("SHADOW_DATABASE_URL")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "zanith_django",
    "example_project",  # its commands: fill_shop and embedded_server
    "example_project.customers",
    "example_project.catalog",
    "example_project.orders",
    "example_project.reviews",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
