"""Plain requests of a batch read straight from their bytes into the columns that the engine decides on.

A kernel reads what nearly every caller sends: a profile id, known placements, plain context, fields in the order in
which generated code writes them. Whatever else a message may be (identities, lists, times, unknown fields, anything
wrong) it leaves to `takt.wire.request` and `takt.wire.asking`, which can say what is wrong with it.
"""
