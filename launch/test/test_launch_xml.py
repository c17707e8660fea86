"""Laws of the launch file reader. Each expectation was compared with `ros2 launch` of Jazzy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lam_bringup.description import Launch, Parameter, ParameterFile
from lam_bringup.launch_xml import read_launch
from lam_models.command import UserError

HOME = {"HOME": "/home/me"}


class Files:
    """Launch files written for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, body: str, name: str = "main.launch.xml") -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<launch>{body}</launch>")
        return path

    def read(self, body: str, given: Mapping[str, str] | None = None) -> Launch:
        share = {"robot": "/share/robot"}.__getitem__
        return read_launch(self.write(body), given or {}, HOME, share)

    def words(self, body: str, given: Mapping[str, str] | None = None) -> list[list[str]]:
        """The arguments of each node."""
        return [list(process.arguments) for process in self.read(body, given).processes]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def node(args: str = "", inside: str = "", more: str = "") -> str:
    return f"<node pkg='p' exec='e' args=\"{args}\" {more}>{inside}</node>"


SCOPES = {
    "a group is a scope": (
        f"<let name='x' value='1'/><group><let name='x' value='2'/>{node('$(var x)')}</group>"
        + node("$(var x)"),
        [["2"], ["1"]],
    ),
    "unless it is not scoped": (
        "<let name='x' value='1'/><group scoped='false'><let name='x' value='2'/></group>"
        + node("$(var x)"),
        [["2"]],
    ),
    "also for the environment": (
        f"<group><set_env name='E' value='in'/>{node('$(env E)')}</group>{node('$(env E out)')}",
        [["in"], ["out"]],
    ),
    "an argument set before keeps its value": (
        f"<let name='x' value='1'/><arg name='x' default='2'/>{node('$(var x)')}",
        [["1"]],
    ),
    "a default may use earlier ones": (
        f"<arg name='x' default='a'/><arg name='y' default='$(var x)b'/>{node('$(var y)')}",
        [["ab"]],
    ),
    "a let under a false condition does nothing": (
        f"<let name='x' value='1'/><let name='x' value='2' if='false'/>{node('$(var x)')}",
        [["1"]],
    ),
}


@pytest.mark.parametrize("case", SCOPES)
def test_scopes(files: Files, case: str) -> None:
    body, expected = SCOPES[case]
    assert files.words(body) == expected


def test_an_include_sets_what_it_declares_up_to_the_end_of_a_group(files: Files) -> None:
    inner = files.write(f"<arg name='x' default='mine'/>{node('$(var x) $(dirname)')}", "sub/i.xml")
    include = f"<include file='{inner}'><arg name='x' value='given'/></include>"
    after = node("$(var x undefined)")
    sub = str(inner.parent)
    assert files.words(include + after) == [["given", sub], ["given"]]
    assert files.words(f"<group>{include}</group>{after}") == [["given", sub], ["undefined"]]
    assert files.words(f"<include file='{inner}'/>{after}") == [["mine", sub], ["mine"]]


def test_dirname_is_refused_where_versions_disagree(files: Files) -> None:
    inner = files.write("", "sub/i.xml")
    with pytest.raises(UserError, match=r"\$\(dirname\) after an <include>"):
        files.words(f"<include file='{inner}'/>{node('$(dirname)')}")


def test_arguments_of_included_files_can_be_given(files: Files) -> None:
    inner = files.write(f"<arg name='x' default='1'/>{node('$(var x)')}", "sub/i.xml")
    include = f"<include file='{inner}'/>"
    assert files.words(include, {"x": "2"}) == [["2"]]
    passed = f"<include file='{inner}'><arg name='x' value='3'/></include>"
    with pytest.raises(UserError, match="unknown launch argument 'x'"):
        files.words(passed, {"x": "2"})


CONDITIONS = {"true": True, "1": True, "TRUE": True, " True ": True, "0": False, "false": False}


@pytest.mark.parametrize("text", CONDITIONS)
def test_conditions(files: Files, text: str) -> None:
    given = {"c": text}
    body = (
        "<arg name='c'/>" + node("if", more="if='$(var c)'") + node("un", more="unless='$(var c)'")
    )
    assert files.words(body, given) == [["if" if CONDITIONS[text] else "un"]]


WORDS = {
    "a  b ": ["a", "b"],
    "'a b' c": ["a b", "c"],
    "$(var s)": ["x y"],
    "pre$(var s)post": ["prex ypost"],
    "pre $(var s) post": ["pre", "x y", "post"],
    "$(var s) $(var s)": ["x y", "x y"],
    "--x:=$(var s) -y": ["--x:=x y", "-y"],
    "$(env HOME)/a": ["/home/me/a"],
    "$(env NOPE 'a  b')": ["a  b"],
    "$(env NOPE '$(var s) z')": ["x y z"],
    "$(env NOPE $(find-pkg-share robot)/$(var s)/c)": ["/share/robot/x y/c"],
    "$(var $(env NOPE s))": ["x y"],
    "$var $ (x)": ["$var", "$", "(x)"],
    r"\$(var s)": ["(var", "s)"],
}


@pytest.mark.parametrize("text", [key for key in WORDS if not key.startswith("\\")])
def test_words_and_substitutions(files: Files, text: str) -> None:
    body = f"<let name='s' value='x y'/>{node(text)}"
    assert files.words(body) == [WORDS[text]]


def test_a_backslash_takes_the_next_character_literally(files: Files) -> None:
    body = r"<let name='a' value='\$(var b) \\ \n'/>" + node("$(var a)")
    assert files.words(body) == [["$(var b) \\ n"]]


VALUES = {
    "1": 1,
    "1.5": 1.5,
    "true": True,
    "text": "text",
    "'1'": "1",
    "[1, 2]": (1, 2),
    "[a, b]": ("a", "b"),
    "[]": (),
    "": "",
    "a: b: c": "a: b: c",
    "$(var one)": 1,
    "$(var list)": (1, 2),
    "[$(var one), 2]": (1, 2),
    "x$(var one)": "x1",
    "'$(var one)'": 1,  # As in ROS 2: quotes do not outlive the substitution, type="str" does.
}


def parameters(files: Files, inside: str) -> Mapping[str, object]:
    lets = "<let name='one' value='1'/><let name='list' value='[1, 2]'/>"
    items = files.read(lets + node(inside=inside)).processes[0].ros.parameters
    return {item.name: item.value for item in items if isinstance(item, Parameter)}


@pytest.mark.parametrize("text", VALUES)
def test_the_type_of_a_parameter_is_guessed(files: Files, text: str) -> None:
    value = parameters(files, f'<param name="p" value="{text}"/>')["p"]
    assert value == VALUES[text] and type(value) is type(VALUES[text])


TYPED = {
    ("1", "str"): "1",
    ("1", "float"): 1.0,
    ("1", "bool"): True,
    ("$(var one)", "str"): "1",
    ("[a, $(var one)]", "list_of_str"): ("a", "1"),
}


@pytest.mark.parametrize("text, kind", TYPED)
def test_the_type_of_a_parameter_can_be_stated(files: Files, text: str, kind: str) -> None:
    value = parameters(files, f'<param name="p" value="{text}" type="{kind}"/>')["p"]
    assert value == TYPED[text, kind] and type(value) is type(TYPED[text, kind])


def test_nested_parameters_separators_and_files_keep_their_order(files: Files) -> None:
    inside = (
        "<param name='a'><param name='b' value='1'/></param><param from='f.yaml'/>"
        "<param name='c' value='1;2' value-sep=';'/>"
    )
    items = files.read(node(inside=inside)).processes[0].ros.parameters
    assert items == (Parameter("a.b", 1), ParameterFile("f.yaml"), Parameter("c", (1, 2)))


def test_ros_arguments(files: Files) -> None:
    inside = "<param name='p' value='on'/><remap from='a' to='/b'/><env name='E' value='1'/>"
    process = files.read(node("x", inside, "name='n' namespace='s/'")).processes[0]
    assert process.command(Path("/bin/e")) == [
        *("/bin/e", "x", "--ros-args", "-r", "__node:=n", "-r", "__ns:=/s"),
        *("-p", "p:=true", "-r", "a:=/b"),
    ]
    assert process.environment == (("E", "1"),)


def test_restart_and_end(files: Files) -> None:
    attributes = "respawn='true' respawn_delay='1.5' on_exit='shutdown' output='both'"
    process = files.read(node(more=attributes)).processes[0]
    assert (process.respawn_delay_s, process.ends_launch, process.output) == (1.5, True, "both")
    plain = files.read(node(more="respawn_delay='2'")).processes[0]
    assert (plain.respawn_delay_s, plain.ends_launch, plain.output) == (None, False, "log")


def test_labels_are_unique_and_in_order(files: Files) -> None:
    body = node(more="name='a'") + node() + node(more="name='a'")
    assert [process.label for process in files.read(body).processes] == ["a", "e", "a-2"]


ERRORS = {
    "<executable cmd='ls'/>": "unknown element inside <launch> '<executable>'. Known: <arg>",
    node(more="nam='x'"): "<node>: unknown attribute of <node> 'nam'. Did you mean 'name'?",
    node(inside="<parm/>"): "<parm>: unknown element inside <node> '<parm>'. Did you mean '<param>",
    "<node exec='e'/>": "the attribute 'pkg' is missing",
    node("$(var nope)"): "unknown launch variable 'nope'",
    node("$(env NOPE)"): "the environment variable 'NOPE' is not set",
    node("$(eval 1)"): "unknown substitution '$(eval)'",
    node("$(var a b c)"): "$(var) takes 1 or 2 arguments, not 3",
    node("$(var a"): "'$(var a' is not closed by ')'",
    node("$( a)"): "is not followed by a name",
    node("'a $(env HOME)'"): "a quote in ''a ' is not closed before a substitution",
    node(more="if='yes'"): "'yes' is 'yes', which is none of true, false, 1, 0",
    node(more="if='1' unless='0'"): "if and unless exclude each other",
    node(more="respawn_delay='-1'"): "respawn_delay is '-1', must be",
    node(more="on_exit='restart'"): "unknown value of on_exit 'restart'",
    node(more="output='screan'"): "unknown output 'screan'. Did you mean 'screen'?",
    node(inside="<param name='a'/>"): "'a' needs either a value or nested parameters",
    node(inside="<param name='a' value='[1, b]'/>"): "the list '[1, b]' mixes int, str",
    node(inside="<param name='a' value='{b: 1}'/>"): "'{b: 1}' is a dict",
    node(inside="<param name='a' value='x' type='int'/>"): "'x' is not of type int",
    node(inside="<param name='a' value='1' type='nt'/>"): "unknown parameter type 'nt'",
    node(inside="<param name='a' value='[1]' type='list_of_str'/>"): "not of type str",
    "<arg name='x' description='the x'/>": "argument 'x' (the x) must be given: x:=value",
    "<arg name='x' default='c'><choice value='a'/></arg>": "unknown x 'c'. Known: a.",
    "<include file='/nowhere.xml'/>": "no launch file '/nowhere.xml'",
    "<include file='/etc/hostname'/>": "is not XML",
    "<group": "malformed XML",
}


@pytest.mark.parametrize("body", ERRORS)
def test_errors_name_file_line_and_what_is_known(files: Files, body: str) -> None:
    with pytest.raises(UserError) as caught:
        files.read("\n" + body)
    message = str(caught.value)
    assert ERRORS[body] in message
    assert message.startswith(f"{files.folder}/main.launch.xml:2: ") or "malformed" in message


def test_an_unknown_argument_is_found_before_a_missing_one(files: Files) -> None:
    with pytest.raises(UserError, match=r"unknown launch argument 'robt'\. Did you mean 'robot'\?"):
        files.read("<arg name='robot'/>", {"robt": "x"})


def test_files_that_include_each_other_are_refused(files: Files) -> None:
    path = files.folder / "main.launch.xml"
    with pytest.raises(UserError, match="include each other"):
        files.read(f"<include file='{path}'/>")
    with pytest.raises(UserError, match="include each other"):
        files.read("<arg name='f' default='main'/><include file='$(dirname)/$(var f).launch.xml'/>")
