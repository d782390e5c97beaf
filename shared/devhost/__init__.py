"""The local host: serves the functions of a FunctionApp as Azure's host would, without the Functions tools."""
