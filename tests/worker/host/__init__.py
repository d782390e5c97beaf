"""A stand-in for Azure's Functions host around Azure's own runtime library (`azure-functions-runtime`).

    python -m tests.worker.host APP_DIRECTORY [--port 7071]

Indexing, the worker's HTTP server and the invocations are the library's, as in Azure. Ours is what the host
does around it: routing by function name, forwarding, and calling the timers when it is told to.
"""
