"""Admin pages for customers."""

from django.contrib import admin

from .models import Address, BusinessCustomer, Customer, LoyaltyCard


class AddressInline(admin.StackedInline):
    model = Address
    extra = 0


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ["name", "email", "level", "joined_at"]
    list_filter = ["level"]
    search_fields = ["name", "email"]
    raw_id_fields = ["referred_by"]
    inlines = [AddressInline]


@admin.register(BusinessCustomer)
class BusinessCustomerAdmin(CustomerAdmin):
    list_display = ["company", "vat_number", "name", "email"]
    search_fields = ["company", "vat_number", "email"]


@admin.register(LoyaltyCard)
class LoyaltyCardAdmin(admin.ModelAdmin):
    list_display = ["number", "customer", "points", "discount_percent"]
    list_select_related = ["customer"]
    raw_id_fields = ["customer"]
    search_fields = ["number"]
