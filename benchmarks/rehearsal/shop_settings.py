"""Settings of the rehearsed shop: the example's, with its own pages and connections that stay."""

from example_project.settings import *  # noqa: F403 - all of it
from example_project.settings import DATABASES

DEBUG = False
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "shop_urls"
DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
