"""What is known of each galaxy of a cube, as files: a cubelet, moment maps, a spectrum and a picture."""

from skadetect.products.options import ProductOptions, product_paths
from skadetect.products.write import ProductCounts, write_products

__all__ = ["ProductCounts", "ProductOptions", "product_paths", "write_products"]
