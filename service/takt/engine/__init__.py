"""The only orchestration: a batch of requests in, a batch of decisions out."""
