"""What the shop sells: categories, brands, products, tags, sale periods."""
