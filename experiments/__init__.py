"""Not part of the product: never imported by it."""
