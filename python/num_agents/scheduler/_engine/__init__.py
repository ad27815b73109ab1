"""The other side of the extension module: running tasks, and everything that follows from it.

`call`: what belongs to one task. `worker`: the life of a run. `control`: changes of a task.
`waiting`: waits for outcomes. `announce`: events. `clock`: the wall clock. `pieces`: calendars
whose times are computed in pieces. `view`: queries. `lifetime`: exit and fork. `engine` composes
them.
"""
