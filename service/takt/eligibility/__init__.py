"""Which offers a person may get: rules over whole batches of rows and offers. Pure: arrays in, arrays out."""
