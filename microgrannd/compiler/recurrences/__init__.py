"""Loops found in straight lines: the same lines over and over, each fed by the ones before, differentiated once."""
