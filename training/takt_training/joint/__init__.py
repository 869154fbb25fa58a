"""The reference model for logged decisions: two towers with joint timing and tonality, further heads, one graph.

`contacts` is what is learned from, `settings` how, `encoding` what of the columns, `head` and `network` the model,
`fitting` the descent, `graph` the export, `training` all of it in order, `report` what a person reads.
"""
