"""The admin: django-unfold's site, behind the same second factor as every page (accounts decides who passes)."""

from django.contrib.admin.apps import AdminConfig


class AviGridAdminConfig(AdminConfig):
    default_site = "avigrid.common.desk_admin_site.DeskAdminSite"
