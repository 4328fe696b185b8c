"""Randomised smoothing (Cohen, Rosenfeld and Kolter 2019) of all decisions that one network serves."""
