"""Time: from what users say to nanoseconds and back. No other package converts."""
