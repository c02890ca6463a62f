"""The origin's API process: the one place where origin's parts meet, its HTTP surface and its pages.

Words: wire (request id, errors, access log, metrics: for both listeners), operator (who holds the bearer token), site
(pages and player libraries), upload (a master on its way in), maintenance (migrate, backup, restore).
May import every origin domain, control.contract, configs and kit. Start at main.
"""
