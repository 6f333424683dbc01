import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencoder_lib.syntax import javascript
from opencoder_lib.syntax.javascript import JavaScriptFacts, javascript_facts
from opencoder_lib.syntax.javascript_es2017 import python_accepts

COUNTS = [name for name in JavaScriptFacts.__dataclass_fields__ if name not in ("accepted", "modern")]


def counts(text: str) -> dict[str, int]:
    facts = javascript_facts(text)
    assert facts.accepted
    return {name: getattr(facts, name) for name in COUNTS if getattr(facts, name)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("// only a comment", {}),
        ("a; ; {}", {"statements": 3}),
        ("var a, bC = f(), d_e = 1", {"variables": 3, "simple_variables": 2, "statements": 1, "legal_variables": 2}),
        ("let x = -1, y = z, w = /r/, v = null, u = undefined", dict.fromkeys(["variables", "simple_variables"], 5)),
        ("let x = this, y = `t`, z = [], w = a + b", {"variables": 4}),
        ("const f = function(){}", {"functions": 1, "legal_functions": 1}),
        ("const f = function*(){}", {"functions": 1, "legal_functions": 1}),
        ("const f = (function(){})", {"functions": 1, "legal_functions": 1}),
        ("const f = async function(){}", {"variables": 1, "legal_variables": 1}),
        ("const f = () => 1", {"variables": 1, "legal_variables": 1}),
        ("const {a, b} = c", {"simple_variables": 1}),
        ("const [a] = [1]", {}),
        ("const a = (/* one */ (1))", {"variables": 1, "simple_variables": 1, "legal_variables": 1}),
        ("for (var x of y);", {"variables": 1, "simple_variables": 1, "legal_variables": 1}),
        ("for (let [x] in y);", {"simple_variables": 1}),
        ("for (x of y);", {}),
        ("for (var i = 0; ;);", {"variables": 1, "simple_variables": 1, "legal_variables": 1}),
        ("for (var a = 1 in b);", {"variables": 1, "simple_variables": 1, "legal_variables": 1}),
        ("function f(){} function _g(){}", {"functions": 2, "legal_functions": 1}),
        ("async function f(){} function* g(){}", {"functions": 2, "legal_functions": 2}),
        ("f(function g(){}); x = () => {}; ({m(){}})", {}),
        ("module.exports.f = () => 1", {"functions": 1, "legal_functions": 1}),
        ("module.exports.f = async function(){}", {"functions": 1, "legal_functions": 1}),
        ("module.exports.f = 1", {"variables": 1, "simple_variables": 1, "legal_variables": 1}),
        ("module.exports[f] += g()", {"variables": 1, "legal_variables": 1}),
        ("module.exports['f'] = 1; module.exports = 1; module.exports.a.b = 1; my.exports.c = 1", {}),
        ("class A {} class b {}", {"classes": 2, "legal_classes": 1}),
        ("x = class A {}", {}),
        ("import 'a'; import b, {c as d} from 'e'", {"imports": 2}),
        ("function f(){ return }", {"functions": 1, "simple_returns": 1, "legal_functions": 1}),
        ("(function(){ return (-a); return 'b'; return a + b; return a() })", {"simple_returns": 2}),
        ("(function(){ return /* a */ b // c\n })", {"simple_returns": 1}),
        # A line break ends the statement, but esprima looks past it for a string.
        ("(function(){ return\n(a + b) })", {"simple_returns": 1}),
        ("(function(){ return\n`a` })", {"simple_returns": 0}),
        ("export default function(){};", {"statements": 2}),
        ("export default async () => {};", {"statements": 2}),
        ("export default (function(){});", {"statements": 1}),
        ("export a from 'b'; export c, {d as e} from 'f'", {"statements": 2}),
        ("a\r\nb\rc\u2028d", {"statements": 4}),
    ],
)
def test_counts(text, expected):
    found = counts(text)
    assert {name: found.get(name, 0) for name in expected} == expected
    if not expected:
        assert set(found) <= {"statements"}


ACCEPTED = r"""
a ** b
f(...a,)
function f(a, b,){}
({...a, b})
import('a')
async function f(a){ await a }
async ({a = 1}, ...b) => await b
await(x)
for (let of of x);
(a, b,) => a
({a = 1} = b)
export default [a]
export {a as default}
export * from "a"
export {default} from "a"
class A extends B { constructor(){ super(); } static get a(){} set b(c){} *d(){} async e(){} }
var async, of, get, set, let, yield, await
a.if.class
({if: 1, async, b})
function f(a, a){}
with (a) {}
delete a
017 + "\01"
var public, exports
label: for (;;) { continue label }
label: { break label }
switch (a) { case 1: break; default: }
if (a) function f(){}
function* g(){ yield a; yield* b; yield }
x = y / z / w
if (x) /[/]/.test(y)
/(?i:a)\u{1F600}\//gimsuyxyz
`a${b}\0${`c${d}`}`
tag`a`
<!-- comment
--> comment
var ünï, 变量
`${ (() => { const {a} = b; return a })() }`
function f(){ new.target }
(a.b) = [c] = d
(a)++
'use strict'; function f(){ if (a) { function g(){} } }
""".strip().split("\n")


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_esprima_accepts(text):
    facts = javascript_facts(text)
    assert (facts.accepted, facts.modern) == (True, True)


NEWER = r"""
a?.b
a ?? b
a ||= b
class A { a = 1 }
class A { #a(){} }
class A { static {} }
1n
1_000
try {} catch {}
import.meta.url
import(a, b)
export * as a from "b"
import a from "b" with {type: "json"}
<a b={c}>d</a>
#!/usr/bin/env node
async function* f(){}
class A { async *f(){} }
async function f(){ for await (a of b); }
await a
@a class B {}
/(?<a>b)/
/\p{L}/u
/[^]/
({async})
`${ (() => { let {a} = b; return a })() }`
""".strip().split("\n")


@pytest.mark.parametrize("text", NEWER)
def test_what_only_a_modern_parser_accepts(text):
    facts = javascript_facts(text)
    assert (facts.accepted, facts.modern) == (False, True)


REFUSED = r"""
return 1
break
while (a) { (function(){ break })() }
switch (a) { case 1: continue }
break a
a: (() => { break a })
a: a: b
"use strict"; with (a) {}
"use strict"; delete a
"use strict"; 017
"use strict"; "\01"
"use strict"; function f(a, a){}
"use strict"; if (a) function f(){}
"use strict"; var public = 1
function f(){ 'a'; "use strict"; with (a) {} }
class A { f(){ with (a) {} } }
export {a}; 017
import a from "b"; delete a
(a, a) => 1
function (){}
function (){}()
class {}
const a;
var {a};
try {}
f()++
(a + b) = c
typeof a = b
a && b = c
f(a,, b)
yield a
function* f(){ () => yield a }
function f(){ await a }
async function f(){ function g(){ await a } }
super.a
new.target
[super]
function f(){ import a from "b" }
function f(){ export {a} }
export {a as b, default}
({get a(b){}})
({set a(){}})
for (a of b, c);
-a ** b
if (a) const b = 1
a: class B {}
switch (a) { default: default: }
var enum = 1
({a, if})
"\8"
`\01`
/a**/
/\h/
/(a)\2/
a = “b”
var a© = 1
f() --> a
""".strip().split("\n")


@pytest.mark.parametrize("text", REFUSED)
def test_early_errors(text):
    assert not javascript_facts(text).accepted


@pytest.mark.parametrize("text", ["a b", "let a: string = 1", "{", "var", "<a>", "a..b", '"a\nb"', "a\0b"])
def test_what_nobody_accepts(text):
    assert javascript_facts(text) == JavaScriptFacts(accepted=False, modern=False)


def test_a_null_character_may_stand_in_a_string():
    assert javascript_facts("'\0'").accepted


def test_a_directive_counts_only_before_other_statements():
    assert javascript_facts("a; 'use strict'; 017").accepted
    assert not javascript_facts("/* a */ 'b'; 'use strict'; 017").accepted
    assert javascript_facts("function f(){ 'use strict' } 017").accepted


def test_modern_files_are_counted_though_not_accepted():
    facts = javascript_facts("const a = b?.c, d = () => <p/>; class E { f = 1 }")
    assert (facts.accepted, facts.modern, facts.variables, facts.classes) == (False, True, 2, 1)


@pytest.mark.parametrize(
    "text",
    ["(" * 10**6, "[" * 10**6, "{" * 10**6, "`${" * 10**5, "{a:" * 10**5 + "}" * 10**5, "a+" * 10**5 + "a"],
    ids=["parentheses", "brackets", "braces", "templates", "labels", "sum"],
)
def test_what_nests_too_deeply_is_null(text):
    assert javascript_facts(text) is None


def test_the_sum_of_a_thousand_terms_is_counted():
    assert javascript_facts("var a = " + "b + " * 1000 + "c").variables == 1


@pytest.mark.parametrize(
    "text",
    [
        "a?b:" * 10**5,
        "'" * 10**5,
        "a;" * 10**5,
        "'use strict';" * 10**4,
        "f(a, a);" * 10**4,
        "<a>" * 10**4,
        "é;" * 10**5,
    ],
    ids=["conditions", "quotes", "statements", "directives", "arguments", "tags", "letters"],
)
def test_odd_files_are_judged(text):
    assert javascript_facts(text) is not None


def test_a_long_line_is_read():
    assert javascript_facts(f"var a = '{'x' * 3_900_000}'").simple_variables == 1


def facts_of_tokens(text: str) -> JavaScriptFacts | None:
    return javascript._facts_of_tokens(javascript._source(text))


def facts_of_tree(text: str) -> JavaScriptFacts:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(javascript, "_facts_of_tokens", lambda data: None)
        return javascript_facts(text)


USUAL = r"""
var a = "\u{1D504}", b = '\u{a}', c = `\u{1F600}`
var a = b / c / d, e = /[/]/.test(f), g = -h.i, j = !function(){}()
var a = function(){}, b = function(){}(), c = (function(){}), d = function(){}.e
function f(a, b){ if (a) return; else return -b; for (;;) { break } return a ? b : c }
var a = 1\nvar b\n++c\nlet d = e\n(f)
f(function(a){ return a }, (b) => ({c: b}), async (d) => { await d })
x = {a, b: 1, 'c': 2, [d]: 3, e(){ return e }, get f(){ return 1 }, set g(h){}, async i(){}, *j(){ yield 1 }}
class A extends B { constructor(){ super() } static a(){} get b(){ return 'c' } }
label: for (var a in b) { while (c) { if (d) continue label; else break label } }
switch (a) { case 1: case b + c: d(); break; default: e }
do a(); while (b) try { c } catch (d) { e } finally { f }
`a${b ? `c${d}` : {e: 1}.e}f`.g(`h`)
module.exports.a = function(){}, b = 1; module.exports.c = -d; module.exports = {e: 1}
import a, {b as c} from 'd'; export default class E {}; export {f as default}; export const g = 1
({a, b: [c = 1]} = d); [a.b, ...c] = d; (a, {b}) => a ** b
const {a, b: {c}} = d, [e] = f
a?.b?.(c)?.[d] ?? e; f ||= 1_000n; try {} catch {}
class G { #a = 1; static b; static { f(this.#a) } }
import('a').then(b)
for (const [a, b] of c) new D(a, b).e(); for (var i = 0, j = (k in l); i < j; i++, --j) {}
if (a) b\nelse if (c) d; else { e }
throw new Error(`a`)
/* a */ a // b\n/* c\n*/ ++b
a = b ? c : (d, e) => f ? g : h
""".strip().split("\n")


@pytest.mark.parametrize("text", [line.replace(r"\n", "\n") for line in USUAL])
def test_the_tokens_of_usual_code_leave_no_doubt(text):
    text = f"function f(){{ {text} }}" if text.startswith("throw") else text
    assert facts_of_tokens(text) == facts_of_tree(text) is not None


@pytest.mark.parametrize("text", ACCEPTED + NEWER + REFUSED)
def test_tokens_and_tree_agree_or_the_tokens_leave_a_doubt(text):
    tree = facts_of_tree(text)
    assert not tree.modern or facts_of_tokens(text) in (None, tree)


WORDS = "a bC d_ $e async get of await yield let static this null 1 .5 'f' `g` `${h}` /i/ function class new typeof var"
WORDS += " const if else for while do switch case default return break continue try catch finally throw in instanceof"
WORDS += " ( ) [ ] { } ; , . : ? = => + - ++ -- ! * / ** && += ... module.exports.k import delete \n"
PIECES = (
    """
var a = |const b = |x = |return |f(|);|{|}|(|)|[|]|=> |function(){|
|function g(a, b){|if (a) |else |for (var i in b) |while (c) |a|1|-|!|,|;|/d/|/|a: |b, |?|:|=|++|`${|}`|
class C {|m(){|get n(){|async |await |new |x.y|module.exports.k = |-->|a
""".replace("|\n", "|")
    .strip("\n")
    .split("|")
)
PIECES.append("\n")


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS.split(" ")), max_size=12), st.lists(st.sampled_from(PIECES), max_size=16))
def test_tokens_and_tree_agree_on_chance_texts(words, pieces):
    for text in (" ".join(words), "".join(pieces), f"function f(){{ {''.join(pieces)} }}"):
        tree = facts_of_tree(text)
        assert not tree.modern or facts_of_tokens(text) in (None, tree)


@settings(deadline=None)
@given(st.text("/*\"'`\\\n${}()[]=>az09.é-+?:;,#", max_size=200))
def test_no_text_leads_the_scanner_astray(text):
    found = facts_of_tokens(text)
    assert found is None or found.modern


@settings(deadline=None)
@given(st.text("ab09\\^$*+?{}[]()|.,-!:=swbué", max_size=12))
def test_a_pattern_without_doubt_compiles(pattern):
    if re.search(r"(?<!\\)(?:\\\\)*/", pattern) is None and facts_of_tokens(f"x = /{pattern}/") is not None:
        assert facts_of_tokens(f"x = /{pattern}/").accepted == python_accepts(pattern.encode())


HOSTILE = {
    "parentheses": "(" * 10**6,
    "labels": "a: " * 10**5,
    "ifs": "if (a) " * 10**5,
    "calls": "a(" * 10**5,
    "arrows": "() => " * 10**5,
    "templates": "`${" * 10**5,
    "sets": "[/" * 10**6,
    "jumps": "a => {" * 3_000 + "break a;" * 10**5,
    "patterns": "/a**/;" * 10**5,
    "parameters": "function f(" + "a, " * 10**6 + "){}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_leave_a_doubt(text):
    assert facts_of_tokens(text) is None
