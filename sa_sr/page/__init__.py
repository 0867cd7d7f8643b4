"""The results page: one HTML file with all that came out, which needs neither a server nor a network.

`template.html`, `style.css` and `script.js` beside this file are its look; they count as code (`sa_sr.provenance`).
"""
