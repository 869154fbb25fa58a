"""The service that a team would otherwise write in a day, to compare with. See its README."""
