"""Flows: nodes that run one after the other on shared data.

```python
from num_agents.core import Flow, Node

class Double(Node):
    def exec(self, shared):
        shared.set("number", shared.get("number") * 2)
        return {"doubled": True}

flow = Flow([Node("Start"), Double()])
flow.shared.set("number", 21)
flow.execute()  # {"Start": {}, "Double": {"doubled": True}}
```

Deliberately absent: conditional transitions, parallel branches and repeated nodes. A node that
needs them holds a flow and executes it, on `shared` or on a copy of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from num_agents import _lazy

# `typing` is slow to import, and only annotations name it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing
else:
    typing = _lazy.LazyModule("typing")

__all__ = ["Flow", "FlowError", "Node", "SharedStore"]

_MISSING = object()

# How many names of nodes the repr of a flow shows.
_NAMES_SHOWN = 8


class FlowError(RuntimeError):
    """A node raised, and its flow stopped there. The node's own error is the `__cause__`.

    Attributes:
        node_name: The name of the node that raised.
        reason: The node's error, as the last line of a traceback shows it.
    """

    def __init__(self, node_name: str, reason: str) -> None:
        super().__init__(node_name, reason)
        self.node_name = node_name
        self.reason = reason

    def __str__(self) -> str:
        return f"node {self.node_name!r} failed: {self.reason}"


class SharedStore:
    """The data that the nodes of a flow share, by key.

    Any thread may call any method at any time. All but `copy` and `keys`, which are O(n), are O(1).

    Args:
        data: What the store holds at first; copied, but not its values.
    """

    # Each method is one operation on one dict, which Python makes atomic. A lock would add nothing
    # but the deadlock of a signal handler or finalizer that uses the store while it is held.

    def __init__(self, data: Mapping[str, typing.Any] | None = None) -> None:
        self._data: dict[str, typing.Any] = {} if data is None else dict(data)

    def set(self, key: str, value: typing.Any) -> None:
        """Put `value` under `key`, in place of what was there."""
        self._data[key] = value

    def get(self, key: str, default: typing.Any = None) -> typing.Any:
        """Return what is under `key`, or `default` if nothing is."""
        return self._data.get(key, default)

    def has(self, key: str) -> bool:
        """Say whether something is under `key`; None counts as something."""
        return key in self._data

    def delete(self, key: str) -> bool:
        """Remove what is under `key`, and say whether something was there.

        Of several threads that delete the same thing, one gets True.
        """
        return self._data.pop(key, _MISSING) is not _MISSING

    def clear(self) -> None:
        """Remove everything."""
        self._data.clear()

    def keys(self) -> list[str]:
        """Return the present keys, in the order in which they were first set."""
        return list(self._data)

    def copy(self) -> SharedStore:
        """Return a new store with the same values under the same keys; the values are shared."""
        return SharedStore(self._data)

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __repr__(self) -> str:
        return f"SharedStore({self.keys()!r})"


class Node:
    """A step of a flow. Subclasses override `exec`; a bare node passes through.

    One node may be part of several flows and run in several threads at once: a subclass that keeps
    state on the node must make that safe.

    Args:
        name: What the results and errors of a flow call the node. By default its class's name; a
            flow that holds several nodes of one default name tells them apart by a number.

    Raises:
        TypeError: `name` is not a string.
        ValueError: `name` is empty.
    """

    #: Whether the name was given, and is therefore the only one of its kind in a flow.
    _is_named = True

    def __init__(self, name: str | None = None) -> None:
        self._is_named = name is not None
        if name is None:
            name = type(self).__name__
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, not {name!r}")
        if not name:
            raise ValueError("name must not be empty: ''")
        self.name = name
        self._next_nodes: list[Node] = []

    def exec(self, shared: SharedStore) -> dict[str, typing.Any]:  # noqa: ARG002 - subclasses use it
        """Do the node's work.

        Args:
            shared: The data of the flow, to read and to write.

        Returns:
            What `Flow.execute` reports as the node's result. None counts as an empty dict, so a
            subclass that has nothing to report needs no `return`.
        """
        return {}

    def add_next(self, node: Node) -> None:
        """Let `node` run after this one, in every flow that reaches this one.

        To connect two nodes in one flow only, use `Flow.add_transition`.

        Raises:
            TypeError: `node` is not a `Node`.
        """
        self._next_nodes.append(_checked_node(node, "node"))

    def get_next_nodes(self) -> list[Node]:
        """Return the nodes given to `add_next`, in that order; the list is the caller's."""
        return self._next_nodes.copy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Flow:
    """Nodes, the transitions between them, and the data they share.

    Threads may execute one flow at the same time; building it is for one thread, before that.
    Transitions belong to the flow and leave its nodes untouched, so that flows can share nodes.

    Nodes that were given a name must differ in it. Nodes with the default name of their class need
    not: in the flow, the second `Double` is `Double_2`, the third `Double_3`, and so on.

    Args:
        nodes: The first nodes, each with a transition to the next. The first one is the start.

    Attributes:
        shared: The data that the nodes share; assign a store to use another one.
        results: What the last execution to end returned. If it failed, the results of the nodes
            before the one that raised.

    Raises:
        TypeError: `nodes` is not iterable, or one of them is not a `Node`.
        ValueError: Two of `nodes` were given the same name, or one of `nodes` is there twice.
    """

    def __init__(self, nodes: Iterable[Node] | None = None) -> None:
        self.shared = SharedStore()
        self.results: dict[str, dict[str, typing.Any]] = {}
        self._names = _Names()
        # By the identity of the node before: a subclass of Node may have no hash.
        self._transitions: dict[int, list[Node]] = {}
        self._start: Node | None = None
        if nodes is not None and not isinstance(nodes, Iterable):
            raise TypeError(f"nodes must be an iterable of Nodes, not {nodes!r}")
        sequence = [] if nodes is None else list(nodes)
        for node in sequence:
            self.add_node(node)
        for source, target in pairwise(sequence):
            self.add_transition(source, target)

    def add_node(self, node: Node) -> None:
        """Add `node`, without a transition. The first node of a flow becomes its start.

        Raises:
            TypeError: `node` is not a `Node`.
            ValueError: A node that was given the same name, or `node` itself, is in the flow
                already.
        """
        if _checked_node(node, "node") in self._names or not self._names.add(node):
            raise ValueError(f"node: the flow has a node named {node.name!r} already")
        if self._start is None:
            self._start = node

    def add_transition(self, source: Node, target: Node) -> None:
        """Let `target` run after `source` in this flow.

        Raises:
            TypeError: `source` or `target` is not a `Node`.
            ValueError: `source` or `target` is not in the flow.
        """
        self._check_member(source, "source")
        self._check_member(target, "target")
        self._transitions.setdefault(id(source), []).append(target)

    def set_start(self, node: Node) -> None:
        """Let `execute` begin with `node`.

        Raises:
            TypeError: `node` is not a `Node`.
            ValueError: `node` is not in the flow.
        """
        self._check_member(node, "node")
        self._start = node

    def execute(self, shared: SharedStore | None = None) -> dict[str, dict[str, typing.Any]]:
        """Run the start and every node that can be reached from it, each once, in this thread.

        The order is breadth-first: a node's successors run in the order in which they were
        connected, the flow's own transitions before the edges made by `Node.add_next`, and all of
        them before any of their successors. A node reached again, by a second path or by a cycle,
        does not run again. An edge of `add_next` may lead to a node that was never added. A node of
        the flow that nothing leads to does not run. The order is computed before the first node
        runs, in time linear in nodes and transitions.

        Args:
            shared: The data for this execution only, in place of the flow's own. A flow within a
                flow is given `shared.copy()` to keep what it writes to itself.

        Returns:
            The result of each node by the node's name in the flow, in order of execution; an empty
            dict for a node whose `exec` returned None. A flow without nodes returns an empty dict.

        Raises:
            FlowError: A node raised an `Exception`, or returned neither a dict nor None; no further
                node runs. Other exceptions, such as `KeyboardInterrupt` and `SystemExit`, stop the
                flow and are raised as they are.
            ValueError: Two nodes of the flow, or reached by edges of `add_next`, were given the
                same name; none has run.
        """
        store = self.shared if shared is None else shared
        order = self._order()
        results: dict[str, dict[str, typing.Any]] = {}
        try:
            for name, node in order:
                results[name] = _run(name, node, store)
        finally:
            self.results = results
        return results

    def reset(self) -> None:
        """Forget the results and clear the shared data. Nodes and transitions stay."""
        self.results = {}
        self.shared.clear()

    def _order(self) -> list[tuple[str, Node]]:
        """Return the nodes that can be reached from the start, breadth-first, with their names."""
        if self._start is None:
            return []
        # Edges of `add_next` may lead to nodes that only this execution knows.
        names = self._names.copy()
        order = [self._start]
        reached = {id(self._start)}
        # The list is the queue: the loop continues with what it appends.
        for node in order:
            for successor in (*self._transitions.get(id(node), ()), *node.get_next_nodes()):
                if id(successor) in reached:
                    continue
                if successor not in names and not names.add(successor):
                    raise ValueError(f"two nodes of the flow are named {successor.name!r}")
                reached.add(id(successor))
                order.append(successor)
        return [(names.of(node), node) for node in order]

    def _check_member(self, node: Node, argument: str) -> None:
        if _checked_node(node, argument) not in self._names:
            raise ValueError(f"{argument}: {node!r} is not in the flow; add it with add_node first")

    def __repr__(self) -> str:
        names = list(self._names)
        shown = ", ".join(map(repr, names[:_NAMES_SHOWN]))
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        if self._start is None or names[0] == (start := self._names.of(self._start)):
            return f"<Flow of {_counted(len(names), 'node')}: [{shown}{more}]>"
        return f"<Flow of {_counted(len(names), 'node')} from {start!r}: [{shown}{more}]>"


class _Names:
    """What a flow calls its nodes, in the order in which they were added; each name is unique."""

    def __init__(self) -> None:
        # By identity; each node is kept, so that no other can get its identity.
        self._by_node: dict[int, tuple[str, Node]] = {}
        # The last number given to each name: 1 if there is no other of that name.
        self._taken: dict[str, int] = {}

    def copy(self) -> _Names:
        copy = _Names()
        copy._by_node = self._by_node.copy()
        copy._taken = self._taken.copy()
        return copy

    def add(self, node: Node) -> bool:
        """Give a node its name, a default one with a number if it is taken.

        Returns:
            Whether the node has a name now; False if it was given one that is taken.
        """
        name = node.name
        if name in self._taken:
            if node._is_named:  # noqa: SLF001 - set by the class beside this one
                return False
            while name in self._taken:
                self._taken[node.name] += 1
                name = f"{node.name}_{self._taken[node.name]}"
        self._by_node[id(node)] = name, node
        self._taken[name] = 1
        return True

    def of(self, node: Node) -> str:
        return self._by_node[id(node)][0]

    def __contains__(self, node: Node) -> bool:
        return id(node) in self._by_node

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._by_node.values())


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _checked_node(node: Node, argument: str) -> Node:
    if not isinstance(node, Node):
        raise TypeError(f"{argument} must be a Node, not {node!r}")
    if not hasattr(node, "name"):
        kind = type(node).__name__
        raise TypeError(f"{argument}: {kind}.__init__ must call super().__init__(), got a {kind}")
    return node


def _run(name: str, node: Node, shared: SharedStore) -> dict[str, typing.Any]:
    try:
        # Subclasses forget to return something more often than type checkers notice.
        result: object = node.exec(shared)
        if result is None:
            return {}
        if not isinstance(result, dict):
            raise TypeError(f"exec must return a dict, not {result!r}")
    except Exception as error:
        from traceback import format_exception_only  # noqa: PLC0415 - slow, and rarely needed

        # Not str(error), which may raise as well.
        raise FlowError(name, "".join(format_exception_only(error)).strip()) from error
    return result
