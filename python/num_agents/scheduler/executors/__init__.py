"""Where runs happen: one port (`base`), and an implementation for each place.

Between start and stop an executor takes what is due from the engine and runs it: in a pool of
threads (`threads`), or in the thread that moves a virtual clock (`inline`).
"""
