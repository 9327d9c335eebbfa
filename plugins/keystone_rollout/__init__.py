"""Upgrade a Keystone cluster from release to release while it serves."""
