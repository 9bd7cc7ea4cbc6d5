"""The admin: django-unfold's site, behind the same second factor as every page (accounts decides who passes)."""

from django.contrib.admin.apps import AdminConfig


class AviGridAdminConfig(AdminConfig):
    default_site = "avigrid.common.admin_site.site_class"


def site_class(name: str = "admin") -> object:
    from unfold.sites import UnfoldAdminSite

    return UnfoldAdminSite(name=name)
