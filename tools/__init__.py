"""What developers run beside the app. Nothing here is part of the package that Azure gets."""
