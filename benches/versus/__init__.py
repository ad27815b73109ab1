"""This scheduler and its peers, side by side in one run."""
