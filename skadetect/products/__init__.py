"""What is known beside a catalogue, as files: maps of an image, and of each galaxy of a cube its own."""

from skadetect.products.image_maps import catalog_model, write_maps
from skadetect.products.options import ProductOptions, product_paths
from skadetect.products.write import ProductCounts, write_products

__all__ = [
    "ProductCounts",
    "ProductOptions",
    "catalog_model",
    "product_paths",
    "write_maps",
    "write_products",
]
