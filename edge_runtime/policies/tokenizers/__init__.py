"""From text to token ids, as the bundle's own vocabulary has them."""
