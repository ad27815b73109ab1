"""Nodes, flows and the store they share."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from num_agents.core import Flow, FlowError, Node, SharedStore


class Trace(Node):
    """Leaves its name in the shared data."""

    def exec(self, shared: SharedStore) -> dict[str, Any]:
        shared.set("trace", [*shared.get("trace", []), self.name])
        return {"name": self.name}


class Raise(Node):
    def __init__(self, error: BaseException, name: str = "Raise") -> None:
        super().__init__(name)
        self.error = error

    def exec(self, shared: SharedStore) -> dict[str, Any]:
        raise self.error


class Return(Node):
    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    def exec(self, shared: SharedStore) -> dict[str, Any]:
        return self.result  # type: ignore[no-any-return]


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def traces(names: str) -> list[Node]:
    return [Trace(name) for name in names]


class TestSharedStore:
    def test_set_get_delete(self) -> None:
        store = SharedStore()
        assert store.get("key") is None
        assert store.get("key", 1) == 1
        store.set("key", None)
        assert store.get("key", 1) is None
        assert store.has("key")
        assert "key" in store
        assert store.keys() == ["key"]
        assert store.delete("key")
        assert not store.delete("key")
        assert not store.has("key")
        assert "key" not in store

    def test_clear(self) -> None:
        store = SharedStore({"a": 1, "b": 2})
        store.clear()
        assert store.keys() == []

    def test_initial_data_is_copied(self) -> None:
        data = {"a": 1}
        store = SharedStore(data)
        store.set("a", 2)
        assert data == {"a": 1}

    def test_copy_is_shallow(self) -> None:
        store = SharedStore({"list": []})
        copy = store.copy()
        copy.set("other", 1)
        copy.get("list").append(1)
        assert store.keys() == ["list"]
        assert store.get("list") == [1]

    def test_repr_shows_keys_not_values(self) -> None:
        assert repr(SharedStore({"token": "secret"})) == "SharedStore(['token'])"

    def test_threads_write_while_others_list_and_copy(self) -> None:
        store = SharedStore()
        barrier = threading.Barrier(8)
        errors: list[BaseException] = []
        deleted = []

        def work(thread: int) -> None:
            try:
                barrier.wait()
                for index in range(500):
                    store.set(f"{thread}-{index}", index)
                    assert len(store.keys()) >= 1
                    assert store.copy().has(f"{thread}-0")
                    if store.delete(f"common-{index}"):
                        deleted.append(index)
            except BaseException as error:  # noqa: BLE001, RUF100 - the main thread reports it
                errors.append(error)

        for index in range(500):
            store.set(f"common-{index}", index)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sorted(deleted) == list(range(500))
        assert len(store.keys()) == 8 * 500


class TestNode:
    def test_name_is_the_class_by_default(self) -> None:
        assert Node().name == "Node"
        assert Trace().name == "Trace"
        assert Node("Start").name == "Start"
        assert repr(Trace("A")) == "Trace('A')"

    def test_bare_node_passes_through(self) -> None:
        store = SharedStore({"a": 1})
        assert Node().exec(store) == {}
        assert store.keys() == ["a"]

    def test_next_nodes(self) -> None:
        a, b, c = traces("abc")
        a.add_next(b)
        a.add_next(c)
        assert a.get_next_nodes() == [b, c]
        a.get_next_nodes().clear()
        assert a.get_next_nodes() == [b, c]

    @pytest.mark.parametrize(
        ("name", "error", "message"),
        [(7, TypeError, "name must be .* 7"), ("", ValueError, "name must not be empty: ''")],
    )
    def test_bad_name(self, name: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Node(name)

    def test_next_must_be_a_node(self) -> None:
        with pytest.raises(TypeError, match="node must be a Node, not 'B'"):
            Node("A").add_next("B")  # type: ignore[arg-type]


class TestOrder:
    def test_empty(self) -> None:
        assert Flow().execute() == {}
        assert Flow([]).execute() == {}

    def test_sequence(self) -> None:
        flow = Flow(traces("abc"))
        assert flow.execute() == {"a": {"name": "a"}, "b": {"name": "b"}, "c": {"name": "c"}}
        assert flow.shared.get("trace") == ["a", "b", "c"]

    def test_nodes_may_come_from_any_iterable(self) -> None:
        assert list(Flow(iter(traces("ab"))).execute()) == ["a", "b"]

    @pytest.mark.parametrize(
        ("transitions", "order"),
        [
            ("", "a"),
            ("ab bc cd", "abcd"),
            ("ab ac bd cd", "abcd"),
            ("ac ab bd cd", "acbd"),
            ("ad ab bd", "adb"),
            ("ab bc ca", "abc"),
            ("aa ab bb", "ab"),
            ("ab ab", "ab"),
            ("bc cd", "a"),
        ],
    )
    @pytest.mark.parametrize("by_node", [False, True])
    def test_breadth_first_each_node_once(
        self, transitions: str, order: str, *, by_node: bool
    ) -> None:
        nodes = {node.name: node for node in traces("abcd")}
        flow = Flow()
        for node in nodes.values():
            flow.add_node(node)
        for transition in transitions.split():
            source, target = (nodes[name] for name in transition)
            if by_node:
                source.add_next(target)
            else:
                flow.add_transition(source, target)
        assert "".join(flow.execute()) == order
        assert "".join(flow.shared.get("trace")) == order

    def test_own_transitions_come_before_edges_of_the_node(self) -> None:
        a, b, c = traces("abc")
        a.add_next(c)
        assert list(Flow([a, b]).execute()) == ["a", "b", "c"]

    def test_set_start(self) -> None:
        nodes = traces("abc")
        flow = Flow(nodes)
        flow.set_start(nodes[1])
        assert list(flow.execute()) == ["b", "c"]

    def test_flows_share_nodes_but_not_transitions(self) -> None:
        a, b, c = traces("abc")
        forth, back = Flow([a, b, c]), Flow([c, b, a])
        assert list(forth.execute()) == ["a", "b", "c"]
        assert list(back.execute()) == ["c", "b", "a"]
        assert a.get_next_nodes() == []

    def test_a_long_sequence_needs_no_recursion(self) -> None:
        flow = Flow(Node(str(number)) for number in range(5_000))
        assert len(flow.execute()) == 5_000

    def test_an_edge_made_by_a_running_node_counts_from_the_next_execution(self) -> None:
        class Grow(Node):
            def exec(self, shared: SharedStore) -> dict[str, Any]:
                self.add_next(late)
                return {}

        late = Trace("late")
        flow = Flow([Grow()])
        assert list(flow.execute()) == ["Grow"]
        assert list(flow.execute()) == ["Grow", "late"]


class TestDefaultNames:
    """Nodes without a name of their own get one in each flow."""

    class Ten(Node):
        def exec(self, shared: Any) -> dict[str, Any]:
            raise ValueError("ten")

    def test_are_numbered(self) -> None:
        nodes = [Node(), Node(), Trace(), Node()]
        flow = Flow(nodes)
        assert list(flow.execute()) == ["Node", "Node_2", "Trace", "Node_3"]
        assert [node.name for node in nodes] == ["Node", "Node", "Trace", "Node"]

    def test_leave_out_numbers_that_are_taken(self) -> None:
        assert list(Flow([Node("Node_2"), Node(), Node()]).execute()) == [
            "Node_2",
            "Node",
            "Node_3",
        ]

    def test_a_given_name_is_never_changed(self) -> None:
        with pytest.raises(ValueError, match=r"node: .* named 'Node' already"):
            Flow([Node(), Node("Node")])

    def test_behind_an_edge(self) -> None:
        first = Node()
        first.add_next(Node())
        flow = Flow([first])
        for _ in range(2):
            assert list(flow.execute()) == ["Node", "Node_2"]

    def test_errors_and_transitions_know_them(self) -> None:
        last = self.Ten()
        flow = Flow([self.Ten(), last])
        flow.set_start(last)
        with pytest.raises(FlowError, match="node 'Ten_2' failed: ValueError: ten"):
            flow.execute()

    def test_the_same_node_twice_is_refused(self) -> None:
        node = Node()
        with pytest.raises(ValueError, match=r"node: .* named 'Node' already"):
            Flow([node, node])

    def test_of_a_subclass_that_sets_its_name_itself(self) -> None:
        class Bare(Node):
            def __init__(self) -> None:
                self.name = "bare"

            def get_next_nodes(self) -> list[Node]:
                return []

        assert list(Flow([Bare(), Node()]).execute()) == ["bare", "Node"]

    def test_many_cost_little(self) -> None:
        assert list(Flow([Node() for _ in range(20_000)]).execute())[-1] == "Node_20000"


class TestNoResult:
    class Silent(Node):
        def exec(self, shared: Any) -> Any:
            shared.set("ran", "yes")

    def test_is_an_empty_one(self) -> None:
        flow = Flow([self.Silent(), Trace()])
        assert flow.execute() == {"Silent": {}, "Trace": {"name": "Trace"}}
        assert flow.shared.get("ran") == "yes"


class TestRepr:
    def test_names_the_nodes(self) -> None:
        assert repr(Flow()) == "<Flow of 0 nodes: []>"
        assert repr(Flow([Node("a")])) == "<Flow of 1 node: ['a']>"
        assert repr(Flow([Node(), Node()])) == "<Flow of 2 nodes: ['Node', 'Node_2']>"

    def test_names_another_start(self) -> None:
        nodes = traces("ab")
        flow = Flow(nodes)
        flow.set_start(nodes[1])
        assert repr(flow) == "<Flow of 2 nodes from 'b': ['a', 'b']>"

    def test_is_short(self) -> None:
        assert repr(Flow(traces("abcdefghij"))).endswith("'g', 'h', ...]>")


class TestBadFlow:
    def test_duplicate_name(self) -> None:
        with pytest.raises(ValueError, match=r"node: .* named 'a' already"):
            Flow([Trace("a"), Trace("a")])

    def test_same_node_twice(self) -> None:
        node = Trace("a")
        with pytest.raises(ValueError, match=r"node: .* named 'a' already"):
            Flow([node, node])

    def test_duplicate_name_behind_an_edge(self) -> None:
        first = Trace("a")
        first.add_next(Trace("a"))
        flow = Flow([first])
        with pytest.raises(ValueError, match=r"two nodes .* named 'a'"):
            flow.execute()
        assert flow.shared.keys() == []

    def test_node_of_another_flow(self) -> None:
        inside, outside = Trace("a"), Trace("b")
        flow = Flow([inside])
        with pytest.raises(ValueError, match=r"source: Trace\('b'\) is not in the flow"):
            flow.add_transition(outside, inside)
        with pytest.raises(ValueError, match=r"target: Trace\('b'\) is not in the flow"):
            flow.add_transition(inside, outside)
        with pytest.raises(ValueError, match=r"node: Trace\('a'\) is not in the flow"):
            flow.set_start(Trace("a"))

    def test_not_a_node(self) -> None:
        flow = Flow()
        with pytest.raises(TypeError, match="node must be a Node, not 5"):
            flow.add_node(5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="node must be a Node, not None"):
            flow.set_start(None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="source must be a Node, not 'a'"):
            flow.add_transition("a", Node())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="node must be a Node, not 'a'"):
            Flow("a")  # type: ignore[arg-type]

    def test_an_init_that_forgets_its_base_is_named(self) -> None:
        class Forgetful(Node):
            def __init__(self) -> None:
                self.size = 1

        with pytest.raises(TypeError, match=r"node: Forgetful.__init__ must call super"):
            Flow([Forgetful()])

    def test_nodes_must_be_iterable(self) -> None:
        nodes: Any = 3
        with pytest.raises(TypeError, match="nodes must be an iterable of Nodes, not 3"):
            Flow(nodes)


class TestFailure:
    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (ValueError("bad"), "ValueError: bad"),
            (RecursionError("deep"), "RecursionError: deep"),
            (UnprintableError(), "UnprintableError"),
        ],
    )
    def test_error_names_the_node_and_keeps_the_cause(self, error: Exception, text: str) -> None:
        flow = Flow([Trace("a"), Raise(error, "b"), Trace("c")])
        with pytest.raises(FlowError, match=rf"node 'b' failed: .*{text}") as caught:
            flow.execute()
        assert caught.value.node_name == "b"
        assert caught.value.__cause__ is error
        assert flow.results == {"a": {"name": "a"}}
        assert flow.shared.get("trace") == ["a"]

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_exits_stay_what_they_are(self, kind: type[BaseException]) -> None:
        error = kind()
        with pytest.raises(kind) as caught:
            Flow([Raise(error)]).execute()
        assert caught.value is error

    @pytest.mark.parametrize("result", [0, 5, "text", ["list"]])
    def test_result_must_be_a_dict(self, result: Any) -> None:
        with pytest.raises(FlowError, match=r"node 'Return' .* must return a dict") as caught:
            Flow([Return(result)]).execute()
        assert isinstance(caught.value.__cause__, TypeError)

    def test_error_survives_pickling(self) -> None:
        with pytest.raises(FlowError) as caught:
            Flow([Raise(ValueError("bad"))]).execute()
        copy = pickle.loads(pickle.dumps(caught.value))
        assert str(copy) == str(caught.value) == "node 'Raise' failed: ValueError: bad"
        assert copy.node_name == "Raise"


class TestSharedData:
    def test_reset(self) -> None:
        flow = Flow(traces("ab"))
        results = flow.execute()
        assert flow.results == results
        flow.reset()
        assert flow.results == {}
        assert flow.shared.keys() == []
        assert list(results) == ["a", "b"]
        assert list(flow.execute()) == ["a", "b"]

    def test_store_can_be_assigned(self) -> None:
        flow = Flow(traces("a"))
        store = SharedStore({"trace": ["before"]})
        flow.shared = store
        flow.execute()
        assert store.get("trace") == ["before", "a"]

    def test_sub_flow_on_a_copy(self) -> None:
        inner = Flow(traces("xy"))

        class Outer(Node):
            def exec(self, shared: SharedStore) -> dict[str, Any]:
                own = shared.copy()
                return {"nodes": list(inner.execute(own)), "trace": own.get("trace")}

        flow = Flow([Trace("a"), Outer(), Trace("b")])
        results = flow.execute()
        assert results["Outer"] == {"nodes": ["x", "y"], "trace": ["a", "x", "y"]}
        assert flow.shared.get("trace") == ["a", "b"]
        assert inner.shared.keys() == []

    def test_error_of_a_sub_flow_names_both_nodes(self) -> None:
        inner = Flow([Raise(ValueError("bad"), "Inner")])

        class Outer(Node):
            def exec(self, shared: SharedStore) -> dict[str, Any]:
                return inner.execute(shared)

        with pytest.raises(FlowError, match=r"'Outer' failed: .*'Inner' failed: ValueError: bad"):
            Flow([Outer()]).execute()

    def test_threads_execute_one_flow(self) -> None:
        flow = Flow(traces("abcd"))
        barrier = threading.Barrier(8)
        outcomes = []

        def work() -> None:
            barrier.wait()
            for _ in range(50):
                store = SharedStore()
                results = flow.execute(store)
                outcomes.append((list(results), store.get("trace")))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == [(list("abcd"), list("abcd"))] * 400
