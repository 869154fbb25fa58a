"""Answers and records of a whole batch written by kernels, byte for byte as protobuf would write them.

Protobuf states the length of a message before the message. So messages are written from their end: what has just been
written is as long as it is, and its length goes in front of it.
"""
