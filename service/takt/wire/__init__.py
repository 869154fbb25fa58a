"""Between messages of `takt.v1` and values of the domain, both ways. Pure; shared by the edges that speak protobuf."""
