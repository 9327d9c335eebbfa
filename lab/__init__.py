"""The lab: a whole staging cloud of real parts on one machine."""
