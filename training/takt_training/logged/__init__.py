"""The decision log with its outcomes, as arrays that models are trained on and policies are judged by."""
