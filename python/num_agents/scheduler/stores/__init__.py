"""Where pending tasks are kept: for now in the memory of the process, by the engine alone."""
