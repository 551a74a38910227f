"""How good a filled picture is: image quality, mask-area buckets, the manifest of pairs and the report."""
