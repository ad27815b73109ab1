"""Where runs happen: one port (`base`), and an implementation for each place.

An executor is told to start and to stop, and meanwhile lets the engine run what is due, in its own
threads (`threads`) or in the thread that moves a virtual clock (`inline`).
"""
