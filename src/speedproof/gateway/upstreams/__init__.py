"""The providers whose requests need more than a bearer key: one module a kind, one class a provider.

Here lives what a provider wants of a request's address, headers and body, and where its credentials come from on the
host. Not here: which name a user gives to a provider (gateway.providers), retries and records (gateway.exchange).
"""
