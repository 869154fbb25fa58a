"""The store on Redis or Valkey: keys, the function library, the embedded server."""
