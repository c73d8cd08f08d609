"""Admin pages for reviews."""

from django.contrib import admin

from .models import Review, ReviewPhoto


class ReviewPhotoInline(admin.TabularInline):
    model = ReviewPhoto
    extra = 0


@admin.register(Review)
class ReviewAdmin(admin.ModelAdmin):
    list_display = ["title", "product", "customer", "rating", "published_at"]
    list_filter = ["rating"]
    list_select_related = ["product", "customer"]
    search_fields = ["title"]
    raw_id_fields = ["product", "customer", "helpful_to"]
    inlines = [ReviewPhotoInline]
