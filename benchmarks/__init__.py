"""Reproducible comparisons with baselines and peers; they write the tables that the documentation
shows.
"""
