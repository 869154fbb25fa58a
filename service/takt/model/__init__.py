"""Bundles: read, check, load, and score with ONNX Runtime. The contract is `docs/model-contract.md`."""
