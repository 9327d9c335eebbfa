"""Measuring campaigns: many rehearsals, a row each, on one page of the documentation."""
