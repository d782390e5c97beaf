"""How the models of the catalog are doing: marks of real calls, probes, and the readiness report."""
