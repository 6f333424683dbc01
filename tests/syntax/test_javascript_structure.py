import pytest

from opencoder_lib.syntax.javascript import JavaScriptFacts, javascript_facts

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
