"""The description of the app's own HTTP interface: an OpenAPI document and a page, made when first asked for."""
