"""Bring your own table: a CSV file of contacts and a mapping become examples, a workspace, a bundle and a report."""
