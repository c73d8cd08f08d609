"""Admin pages for the catalog."""

from django.contrib import admin

from .models import Brand, Category, Product, SalePeriod, Tag


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "parent", "position"]
    list_select_related = ["parent"]
    search_fields = ["name"]


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "sku", "category", "price", "margin", "stock", "status"]
    list_filter = ["status", "category"]
    list_select_related = ["category"]
    search_fields = ["name", "sku"]
    raw_id_fields = ["brand"]
    filter_horizontal = ["tags"]
    readonly_fields = ["margin", "created_at"]


@admin.register(SalePeriod)
class SalePeriodAdmin(admin.ModelAdmin):
    list_display = ["name", "period", "discount_percent"]
    filter_horizontal = ["categories"]


admin.site.register([Brand, Tag])
