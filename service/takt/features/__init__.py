"""The one feature spec: declared once, packed in records, read by rules, model and training as the same columns."""
