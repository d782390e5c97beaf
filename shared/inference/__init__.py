"""The request path: resolve, admit, route, call, account."""
