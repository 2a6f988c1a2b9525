"""How fast the parts that must be fast are; `make bench` runs them."""
