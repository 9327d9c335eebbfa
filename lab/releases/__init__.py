"""Keystone releases as the lab installs them: from pinned versions to packages and images."""
