"""The other side of the extension module: what runs, who is told, and what happens to both.

`call` has what belongs to one task, `worker` the life of one run, `control` what changes a task,
`waiting` who waits for outcomes, `announce` every event, `clock` the wall clock, `pieces` the
calendars whose times are computed in pieces, `view` what can be looked up, `lifetime` exit and
fork. `engine` puts them together.
"""
