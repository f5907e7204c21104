"""Whatever a user may hand over, measured against the case that is fastest."""
