"""The look of the reference page."""

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--get:#16794c;--post:#1f5fbf;--change:#9a5b00;--delete:#b3261e}
@media(prefers-color-scheme:dark){:root{--get:#5fd39b;--post:#8ab4f8;--change:#f2b45c;--delete:#f28b82}}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif;display:grid;grid-template-columns:minmax(16rem,22rem) 1fr}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;border-right:1px solid var(--line);font-size:13px}
nav ul{list-style:none;margin:0;padding:0}nav a{color:inherit;text-decoration:none;overflow-wrap:anywhere}
nav a:hover{text-decoration:underline}nav h2{font-size:14px;margin:1rem 0 .3rem}
main{padding:1rem 2rem;min-width:0;max-width:70rem}
section{border-top:1px solid var(--line);margin:1.5rem 0;padding-top:.5rem}
h3 code{overflow-wrap:anywhere}.summary{font-weight:600}
code,pre{font-family:ui-monospace,monospace;font-size:.92em}
code{background:var(--soft);padding:0 .2em;border-radius:3px}
pre{background:var(--soft);padding:.8rem;overflow:auto;border-radius:6px}
table{border-collapse:collapse;width:100%;margin:.3rem 0}
td,th{border-top:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
td:first-child{white-space:nowrap}td p{margin:0;display:inline}em{font-style:normal;color:var(--delete)}
i{opacity:.7}summary{cursor:pointer}
.GET{color:var(--get)}.POST{color:var(--post)}.PATCH,.PUT{color:var(--change)}.DELETE{color:var(--delete)}
@media(max-width:55rem){body{display:block}nav{position:static;height:auto;max-height:40vh;border:0}main{padding:1rem}}
"""
