"""Datasets of labelled patches: made from collections, split, written as Parquet, read for training."""
