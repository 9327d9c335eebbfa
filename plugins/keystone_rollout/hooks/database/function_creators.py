"""Let Keystone's account create triggers without SUPER, for as long as the upgrade needs it."""

from __future__ import annotations

from keystone_rollout.hooks.database.saved_variable import SavedVariable


class FunctionCreators(SavedVariable):
    """Hold log_bin_trust_function_creators at 1."""

    names = ("log_bin_trust_function_creators",)
    wanted = "1"
    consequence = (
        "a migration that makes a trigger would stop half-way with error 1419, so the phase was "
        "not started"
    )
