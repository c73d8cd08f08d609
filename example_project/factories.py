"""Factories of the shop's models, for tests and for playing in a shell."""

from __future__ import annotations

from decimal import Decimal

import factory
from factory.django import DjangoModelFactory

from example_project.catalog.models import Brand, Category, Product
from example_project.customers.models import Address, Customer
from example_project.orders.models import Order, OrderLine
from example_project.reviews.models import Review


class CustomerFactory(DjangoModelFactory[Customer]):
    class Meta:
        model = Customer

    name = factory.Faker("name")
    email = factory.Sequence(lambda n: f"customer{n}@example.org")
    interests = ["tea"]


class AddressFactory(DjangoModelFactory[Address]):
    class Meta:
        model = Address

    customer = factory.SubFactory(CustomerFactory)
    lines = factory.List([factory.Faker("street_address")])
    postcode = factory.Faker("postcode")
    city = factory.Faker("city")
    country = "NL"


class CategoryFactory(DjangoModelFactory[Category]):
    class Meta:
        model = Category

    name = factory.Sequence("Category {}".format)


class BrandFactory(DjangoModelFactory[Brand]):
    class Meta:
        model = Brand

    name = factory.Sequence("Brand {}".format)


class ProductFactory(DjangoModelFactory[Product]):
    class Meta:
        model = Product

    sku = factory.Sequence("SKU-{:05}".format)
    slug = factory.Sequence("product-{}".format)
    name = factory.Faker("catch_phrase")
    category = factory.SubFactory(CategoryFactory)
    brand = factory.SubFactory(BrandFactory)
    status = Product.Status.ON_SALE
    price = Decimal("9.90")
    cost = Decimal("4.20")
    stock = 10


class OrderFactory(DjangoModelFactory[Order]):
    class Meta:
        model = Order

    number = factory.Sequence(lambda n: 100_000 + n)
    customer = factory.SubFactory(CustomerFactory)


class OrderLineFactory(DjangoModelFactory[OrderLine]):
    class Meta:
        model = OrderLine

    order = factory.SubFactory(OrderFactory)
    product = factory.SubFactory(ProductFactory)
    quantity = 2
    unit_price = factory.SelfAttribute("product.price")


class ReviewFactory(DjangoModelFactory[Review]):
    class Meta:
        model = Review

    product = factory.SubFactory(ProductFactory)
    customer = factory.SubFactory(CustomerFactory)
    rating = 4
    title = factory.Faker("sentence", nb_words=4)
