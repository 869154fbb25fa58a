"""Offline training and evaluation of the models that Takt serves."""
