"""The words of the field as values: requests, decisions, contacts, ledgers, reasons. No I/O, no clock, no protobuf."""
