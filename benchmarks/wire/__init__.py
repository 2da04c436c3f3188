"""What the benchmarks of the wire protocol, and the tests that break connections, share.

Peers speak in plain maps and keep their own account: nothing here trusts the package's clients.
"""
