"""What chat templates may use of Jinja, as small templates; transformers renders each.

A case is a template. All of them are given VARIABLES. make_templates.py writes
what transformers makes of them, or that it refuses, into template_cases.json.
"""

# ruff: noqa: E501 (a table)

from __future__ import annotations

from pathlib import Path
from typing import Any

CASES_GOLDEN = Path(__file__).parent / "template_cases.json"

VARIABLES: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "  Be brief. \n"},
        {"role": "user", "content": "Grüße, 'Łódź' & <b>\"x\"</b>\n\tnext\\line  "},
        {"role": "assistant", "content": "<think>\nHm.\n</think>\n\n One, two,  three.\n"},
        {"role": "user", "content": "नमस्ते 👩🏽‍💻 e\u0301 \u00a0\u3000ß ǆ \u200b\x7f\x1b end"},
    ],
    "tools": None,
    "documents": None,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "add_generation_prompt": True,
    "text": " Hello, World! hello ",
    "lines": "one\n  two\n\nthree\r\nfour",
    "numbers": [3, 1, 2, 10, -4],
    "floats": [1.5, 0.1, 2.5e-9, 1e-7, -100.25],
    "mixed": [1, "a", None, True, 2.5, [1, "b"], {"k": "v", "n": [1, 2]}],
    "people": [
        {"name": "Zoë", "age": 30, "address": {"city": "Köln"}, "on": True},
        {"name": "adam", "age": 25, "address": {"city": "Bonn"}, "on": False},
        {"name": "Bob", "age": 30, "address": {"city": "Aachen"}},
    ],
    "options": {"b": 1, "a": [True, None, 1.5, "é<&>\"'\n\u2028"], "C": {"x": {}}, "d": []},
    "empty": "",
    "nothing": None,
    "html": '<b>"it\'s" &amp; more</b> <!-- gone --> text',
    "long": "The quick brown fox jumps over the lazy dog and then some-thing supercalifragilistic.",
}

# Each line is one expression.
EXPRESSIONS = r"""
none
true
false
nothing
True ~ None
[none, true, false, 1, 1.0, 'a']
(1,)
(1, 'b', none)
()
{}
{'a': 1, 2: 'b', none: true}
mixed
options
floats
'a' 'b'
"it's"
'say "x"'
['it\'s', 'say "x"', 'both \' and "', 'a\nb\t\\', 'é\x01\u200b\xa0']
messages[3].content.split(' ')
'a\tb\u00e9\x41\101'
1_000 + 0x1F + 0b11 + 0o17
1e3
1.5e-3
2.0
1e16
1e15
[1e20, 100.0, -0.0, 1e-7] | tojson
[1e20, 100.0, -0.0, 1e-7, 1e-5, 123456.789e3]
123456789012345678
1e22
0.1 + 0.2
10 / 4
10 / 5
7 // 2
-7 // 2
7 % 3
-7 % 3
7.5 // 2
-7.5 % 2
2 ** 10
2 ** 3 ** 2
2 ** -1
-2 ** 2
2 * 3 + 4 * 5 - 6
(1 + 2) * 3
1 + 2.5
true + 1
'ab' * 3
3 * 'ab'
[1, 2] * 2
[1] + [2, 'x']
(1, 2) + (3,)
'a' ~ 1 ~ none ~ 2.0 ~ [1]
1 ~ 2 + 3
'a' + 1
'5' + '6'
1 + none
-numbers[0]
+5
not true
not nothing
not 1 == 2
1 < 2
1 < 2 < 3
1 < 3 < 2
'a' < 'b'
'a' < 1
[1, 2] < [1, 3]
1 == 1.0
1 == true
'1' == 1
none == false
[1, 'a'] == [1, 'a']
{'a': 1} == {'a': 1.0}
(1, 2) == [1, 2]
'ell' in text
'x' not in text
3 in numbers
'b' in options
4 in (1, 2)
1 in 5
nothing or 'fallback'
empty and 'never'
0 or '' or [] or {} or 'last'
1 and 2
'yes' if numbers else 'no'
'yes' if empty
('a' if false) is defined
1 if false else 2 if false else 3
undefined_name
undefined_name.attribute
undefined_name is defined
undefined_name | default('d')
undefined_name + 1
undefined_name == undefined_other
options.a
options['b']
options.missing
options['missing'] is defined
options.missing.more
options.get('b')
options.get('zz')
options.get('zz', 7)
options.keys()
options.values()
options.items()
options.items() | list
options.keys() | list | length
options.copy() == options
numbers[0]
numbers[-1]
numbers[99]
numbers['0']
numbers[1:3]
numbers[::-1]
numbers[:-2]
numbers[::2]
numbers[10:]
numbers[-3:-1]
text[1:6]
text[::-1]
text[3]
text[-2]
messages[3].content[7:10]
messages[3].content | length
mixed[6].k
mixed.6.k
messages.0.role
(1, 2, 3)[1]
range(5)
range(5) | list
range(2, 10, 3) | list
range(5, 0, -2) | list
range(3)[1]
range(0)
range(3) | length
range(1000000)
dict(a=1, b='x')
dict([('a', 1)], c=2)
namespace(a=1).a
namespace(a=1)
numbers.count(3)
numbers.index(2)
numbers.append(1)
options.update({'z': 1})
options.pop('b')
text.strip()
text.lstrip()
text.rstrip()
'xxhixx'.strip('x')
'xyhiyx'.strip('xy')
'\n\nhi\n'.lstrip('\n')
'hi\n\n '.rstrip('\n')
'hi\n\n '.rstrip(' \n')
messages[2].content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n')
messages[2].content.split('</think>')[-1].lstrip('\n')
messages[3].content.strip()
text.upper()
text.lower()
'straße ǆ İ'.upper()
'ΑΣ ΟΔΟΣ'.lower()
text.capitalize()
text.title()
"they're bill's friends from-the UK".title()
text.swapcase()
'Straße'.casefold()
text.split()
text.split(None, 1)
text.rsplit(None, 1)
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a,b,,c'.split(',', maxsplit=2)
'a,b,,c'.rsplit(',', 1)
''.split(',')
''.split()
'a--b--c'.split('--')
'abc'.split('')
lines.splitlines()
lines.splitlines(true)
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('x')
text.replace('l', 'L')
text.replace('l', 'L', 2)
'abc'.replace('', '-')
'aaa'.replace('aa', 'b')
text.find('World')
text.find('zzz')
text.rfind('l')
text.index('W')
text.index('zzz')
text.find('l', 5)
text.find('l', 5, 6)
text.count('l')
text.count('')
'aaa'.count('aa')
text.startswith(' He')
text.startswith(('x', ' H'))
text.startswith('e', 2)
text.endswith('lo ')
'-'.join(['a', 'b'])
'-'.join([1])
'-'.join('abc')
'{} and {}'.format('a', 1)
'{1} {0} {x}'.format('a', 'b', x=3)
'{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd')
'{:05d} {:+d} {:,} {:x} {:#X} {:b}'.format(42, 7, 1234567, 255, 255, 5)
'{:.2f} {:8.3f} {:e} {:g} {:%}'.format(3.14159, 2.5, 12345.678, 0.00001, 0.5)
'{0[k]} {1.name}'.format({'k': 'v'}, {'name': 'n'})
'{{}} {!r} {!s}'.format('q', 'q')
'{'.format(1)
'%s is %d' % ('a', 3)
'%s' % 'x'
'%s' % none
'%5s|%-5s|%05d|%+d|%x|%X|%o' % ('a', 'b', 42, 5, 255, 255, 8)
'%.2f %e %g %.3g' % (3.14159, 12345.678, 0.0001, 1234.5)
'%(a)s-%(b)d' % {'a': 'x', 'b': 2}
'%% %r %c' % ('q', 'z')
'%s %s' % ('a',)
'%d' % 'x'
'%.1f %.0f %.0f' % (0.25, 0.5, 1.5)
'abc'.center(9, '*')
'abc'.center(8)
'abc'.ljust(5) ~ '|'
'abc'.rjust(5, '.')
'42'.zfill(5)
'-42'.zfill(5)
'a\tb'.expandtabs(4)
'TestHook'.removeprefix('Test')
'TestHook'.removesuffix('Hook')
['a1'.isalnum(), 'a'.isalpha(), '1'.isdigit(), '½'.isnumeric(), ' '.isspace(), 'Ab'.istitle(), 'AB'.isupper(), 'ab'.islower(), 'ab'.isascii(), 'a b'.isidentifier()]
text.nosuch
text.nosuch()
(5).bit_length()
(2.0).is_integer()
''.__class__
''.__class__.__mro__
-5 | abs
text | upper
text | lower
text | trim
'xxhixx' | trim('x')
text | trim | capitalize
'hello world-wide (web) it\'s' | title
'x' | center(5) ~ '|'
text | length
numbers | count
numbers | length
5 | length
text | wordcount
text | replace('l', 'L')
text | replace('l', 'L', 1)
lines | indent
lines | indent(2)
lines | indent(2, true)
lines | indent('> ', blank=true)
lines | indent(width=3, first=false)
numbers | first
numbers | last
[] | first
[] | last
text | first
numbers | sort
numbers | sort(reverse=true)
['b', 'A', 'a', 'C'] | sort
['b', 'A', 'a', 'C'] | sort(case_sensitive=true)
people | sort(attribute='name') | map(attribute='name') | list
people | sort(attribute='age,name') | map(attribute='name') | list
people | sort(attribute='address.city') | map(attribute='address.city') | join(', ')
numbers | max
numbers | min
people | max(attribute='age')
[] | max
['b', 'A'] | min
numbers | sum
floats | sum
people | sum(attribute='age')
numbers | sum(start=100)
numbers | reverse | list
text | reverse
numbers | join(', ')
numbers | join
people | join(', ', attribute='name')
['a', none, 1.0] | join('|')
text | list
'abc' | list | join('-')
[1, 1, 2, 'a', 'A'] | unique | list
numbers | batch(2) | list
numbers | batch(2, 'x') | list
numbers | slice(2) | list
numbers | slice(3, 'x') | list
people | groupby('age') | list | length
people | map(attribute='name') | list
people | map(attribute='zz', default='none') | list
people | map(attribute='address.city') | map('upper') | list
['a', 'b'] | map('upper') is iterable
numbers | map('string') | map('length') | list
['a ', ' b'] | map('trim') | list
numbers | select('odd') | list
numbers | select('gt', 2) | list
numbers | reject('even') | list
mixed | select | list
mixed | select('string') | list
people | selectattr('on') | map(attribute='name') | list
people | selectattr('age', 'equalto', 30) | map(attribute='name') | list
people | selectattr('age', '==', 25) | map(attribute='name') | list
people | selectattr('on', 'defined') | map(attribute='name') | list
people | rejectattr('on') | map(attribute='name') | list
people | rejectattr('name', 'in', ['Bob']) | map(attribute='name') | list
messages | selectattr('role', 'ne', 'user') | list | length
numbers | select('nosuch') | list
text | nosuch
options | dictsort
options | dictsort(true)
{'b': 1, 'a': 2} | dictsort(by='value', reverse=true)
options | items | list
options | list
'5' | int
'5.7' | int
'x' | int
'x' | int(7)
'0x1f' | int(base=16)
'ff' | int(0, 16)
5.9 | int
-5.9 | int
none | int
' 12 ' | int
'1.5' | float
'x' | float
'x' | float(2.5)
5 | float
'1e3' | float
2.567 | round
2.567 | round(2)
2.5 | round
3.5 | round
2.1 | round(0, 'ceil')
2.9 | round(method='floor')
5 | round
5 | string
none | string
[1, 'a'] | string
html | escape
html | e
'<' | escape ~ '<'
'<a>' | safe
html | striptags
html | forceescape
'a b/c?é' | urlencode
{'a': 1, 'b c': 'é'} | urlencode
long | truncate(20)
long | truncate(20, true)
long | truncate(20, false, '…')
'short' | truncate(5)
long | wordwrap(20)
long | wordwrap(10, false)
1000000 | filesizeformat
1024 | filesizeformat(true)
1 | filesizeformat
'%s-%s' | format('a', 1)
'%(x)s' | format(x=2)
nothing | default('d')
nothing | default('d', true)
empty | d('x', boolean=true)
undefined_name | d
options | attr('items') is callable
options | tojson
options | tojson(indent=2)
options | tojson(indent=2, sort_keys=true)
options | tojson(ensure_ascii=true)
options | tojson(separators=(',', ':'))
options.C | tojson(indent=4)
mixed | tojson
floats | tojson
messages[1] | tojson
messages[3].content | tojson
messages[3].content | tojson(ensure_ascii=true)
[] | tojson(indent=2)
'</script>\x01\x7f' | tojson
(1, 2) | tojson
{1: 'a', none: 'b', true: 'c', 1.5: 'd'} | tojson
undefined_name | tojson
range(3) | tojson
{'a': undefined_name} | tojson
none | tojson
5 is number
5.0 is float
5 is integer
true is integer
true is number
true is boolean
'a' is string
'a' is not string
options is mapping
numbers is iterable
'ab' is iterable
5 is iterable
numbers is sequence
options is sequence
none is none
nothing is not none
tools is none
tools is not none
tools is defined
documents is defined
undefined_name is undefined
5 is odd
4 is even
9 is divisibleby 3
9 is divisibleby(2)
5 is eq 5
5 is equalto(6)
5 is ne 6
5 is gt 4
5 is lt 4
5 is ge 5
5 is le 4
5 is greaterthan 4
'a' is in ['a', 'b']
'a' is in 'cat'
3 is not in numbers
'a' is lower
'A' is upper
none is sameas none
1 is sameas true
false is false
true is true
1 is true
options.get is callable
'x' | e is escaped
'upper' is filter
'nosuch' is filter
'odd' is test
5 is nosuch
not 5 is odd
5 is odd and 4 is even
raise_exception('No: ' ~ text)
raise_exception('with a newline\nin it')
1 / 0
5 % 0
strftime_now('%Y-%m-%d')
strftime_now('%d %B %Y, %H:%M:%S')
strftime_now('%a %A %b %B %y %I %p %j %U %W %w %u %e %%')
strftime_now('%-d.%-m.%y %D %F %T %R %G-W%V %C %h %n%t|')
strftime_now('%c | %x | %X | %f | %z | %Z | %k | %l | %s0 | %Q')
cycler('a', 'b').next()
joiner(', ')() ~ 'x'
numbers | length == 5 and text is string
(numbers | length) - 1
numbers|length-1
messages[-1]['role'] ~ ':' ~ messages[0]['content']|trim
messages[1].content
messages[1]
messages | map(attribute='role') | list
messages | length > 3 and messages[1].role == 'user'
{'a': {'b': [1, {'c': 2}]}}.a.b[1].c
'a' if 'b' is defined else 'c'
[1, 2, 3,]
{'a': 1,}
text.strip().split(' ')[0].lower()
(text | trim).upper()
text|trim|length
text . strip ( )
'{{ not parsed }}'
'%}'
1.5.is_integer()
numbers[1:][0]
numbers[0,1]
options.a[3]
options.a | join(';')
loop
caller
varargs
5()
nothing()
nothing.x
'a' is
1 +
(1
[1, 2
{'a'}
'unterminated
a b
1 if
| upper
x.
x.+
@
"""

STATEMENTS: list[str] = [
    "plain text without a tag",
    "a\n",
    "a\n\n",
    "\n\na",
    "{{ text }}\n",
    "{# comment #}x",
    "{# a\nb #}\nx",
    "{#- a -#}  x",
    "  {#- a #} x",
    "{% raw %}{{ not }} {% this %}{% endraw %}",
    "{%- raw -%}  {{ x }}  {%- endraw -%}  y",
    "a {% if true %} b {% endif %} c",
    "a {%- if true -%} b {%- endif -%} c",
    "a\n  {% if true %}\n  b\n  {% endif %}\nc",
    "a\n  {%+ if true %}\n  b\n  {%+ endif %}\nc",
    "a\n  {% if true +%}\n  b\n  {% endif +%}\nc",
    "  {{ 1 }}  \n  {{- 2 -}}  \n  {{ 3 }}\n",
    "{{ 1 }}\n{{ 2 }}\n",
    "{%- if true %}\n\n x\n{%- endif %}\n",
    "x {% set a = 1 %} y\n{% set b = 2 %}\nz{{ a + b }}",
    "\t {% if true %}\t\nx{% endif %}",
    "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc\r\n",
    "{% if false %}a{% elif 1 %}b{% else %}c{% endif %}",
    "{% if false %}a{% elif 0 %}b{% else %}c{% endif %}",
    "{% if not messages %}a{% endif %}-",
    "{% for x in numbers %}{{ x }},{% endfor %}",
    "{% for x in [] %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in numbers if x > 1 %}{{ loop.index }}:{{ x }} {% else %}none{% endfor %}",
    "{% for x in numbers if x > 99 %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in numbers %}{{ loop.index0 }}/{{ loop.length }} {{ loop.first }} {{ loop.last }} "
    "{{ loop.revindex }} {{ loop.revindex0 }} {{ loop.previtem }} {{ loop.nextitem }}\n{% endfor %}",
    "{% for x in numbers %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 2) }} {% endfor %}",
    "{% for k, v in options.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in options | dictsort %}{{ k }};{% endfor %}",
    "{% for (a, b) in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for a, b in [1] %}{{ a }}{% endfor %}",
    "{% for k in options %}{{ k }}{% endfor %}",
    "{% for c in 'añ👍' %}[{{ c }}]{% endfor %}",
    "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}",
    "{% for x in 5 %}{{ x }}{% endfor %}",
    "{% for x in undefined_name %}{{ x }}{% else %}e{% endfor %}",
    "{% for x in nothing %}{{ x }}{% endfor %}",
    "{% for x in numbers %}{% if x == 2 %}{% break %}{% endif %}{{ x }} {% endfor %}",
    "{% for x in numbers %}{% if x == 2 %}{% continue %}{% endif %}{{ x }} {% endfor %}",
    "{% for x in [1, 2] %}{% for y in [1, 2, 3] %}{% if y == 2 %}{% break %}{% endif %}"
    "{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% break %}",
    "{% for x in [[1, [2, 3]], 4] recursive %}"
    "{% if x is iterable %}<{{ loop(x) }}>{% else %}{{ x }}:{{ loop.depth }}{% endif %} {% endfor %}",
    "{% for x in [1, 2] %}{% for y in [3] %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% set outer = 1 %}{% for x in [1, 2] %}{% set outer = outer + x %}{{ outer }}{% endfor %}{{ outer }}",
    "{% set x = 0 %}{% if true %}{% set x = 5 %}{% endif %}{{ x }}",
    "{% set ns = namespace(n=0, s='') %}{% for x in numbers %}{% set ns.n = ns.n + x %}"
    "{% set ns.s = ns.s ~ x %}{% endfor %}{{ ns.n }} {{ ns.s }} {{ ns.none }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}",
    "{% set ns.a = 1 %}",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}",
    "{% set ns = namespace() %}{% set ns._a = 1 %}{{ ns._a }}",
    "{% set options.b = 2 %}{{ options.b }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set a, b = [1] %}",
    "{% set true = 1 %}",
    "{% set a %}  x {{ 1 }}\n{% endset %}[{{ a }}]",
    "{% set a | upper %}x {{ text }}{% endset %}[{{ a }}]",
    "{% set a | trim | replace('x', 'y') %} x {% endset %}[{{ a }}]",
    "{% set messages = messages[1:] %}{{ messages | length }}",
    "{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=4) }} {{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}",
    "{% macro m() %}{{ varargs }} {{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}",
    "{% macro m() %}{{ m.name }}{% endmacro %}{{ m() }}{{ m.name }}{{ m.arguments }}",
    "{% macro m(x) %}[{{ caller() }}{{ x }}]{% endmacro %}{% call m(1) %}body{% endcall %}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a + b }}{% endcall %}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro m() %}{{ outside }}{% endmacro %}{% set outside = 'late' %}{{ m() }}",
    "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(3) }}",
    "{% macro m() %}\n  x\n{% endmacro %}[{{ m() }}] [{{ m() | trim }}] {{ m() + 'y' }} {{ m() | length }}",
    "{% macro m() %}<{% endmacro %}{{ m() ~ '<' }}",
    "{% for x in [1, 2] %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{{ m() }}{% macro m() %}x{% endmacro %}",
    "{% filter upper %}abc {{ text }}{% endfilter %}",
    "{% filter trim | replace('a', 'b') %} aaa {% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z is defined }}",
    "{% print 1, 'a' %}",
    "{% generation %}{{ text }}{% endgeneration %}",
    "{% for m in messages %}{% generation %}{{ m.role }}{% endgeneration %} {% endfor %}",
    "{% block b %}x{{ text }}{% endblock %}",
    "{% do numbers %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% extends 'x' %}",
    "{% nosuch %}",
    "{% if %}{% endif %}",
    "{% for %}",
    "{% for x in y",
    "{% if true %}",
    "{% endif %}",
    "{{ 1 }",
    "{{ }}",
    "{% else %}",
    "{# open",
    "{% raw %}open",
    "{% set x = %}",
    "{% macro m( %}{% endmacro %}",
    "{% if false %}{{ x | nosuch }}{% endif %}ok",
    "{{ x | nosuch if false else 'ok' }}",
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content | trim %}"
    "{% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}"
    "{% for m in loop_messages %}{% if loop.index0 == 0 and system is defined %}"
    "{{ '<<SYS>>' + system + '<</SYS>>' + m.content }}{% else %}{{ m.content | trim }}{% endif %}{% endfor %}",
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token }}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}{% endfor %}",
    "{% for message in messages | rejectattr('role', 'equalto', 'system') %}{{ loop.index }}"
    "{{ message.role }} {% endfor %}",
    "{% set g = messages | map(attribute='role') %}{{ g | list | length }}{{ g | list | length }}",
    "{% set j = joiner('|') %}{% for x in numbers %}{{ j() }}{{ x }}{% endfor %}",
    "{% set c = cycler('a', 'b') %}{% for x in numbers %}{{ c.next() }}{% endfor %}{{ c.current }}",
    "{% for g in people | groupby('age') %}{{ g.grouper }}:{% for p in g.list %}{{ p.name }},{% endfor %}"
    "{{ g[0] }} {% endfor %}",
    "{%- for m in messages %}\n{%- if m.content is string %}\n{{- m.content }}\n{%- endif %}\n{%- endfor %}",
    "{{- text -}}   \n   {{- text -}}",
    "{{ 'a' -}}\n\n{%- if true -%}\n b\n{%- endif %}\n c",
    "{% for x in range(3) -%}\n  {{ x }}\n{%- endfor %}",
    "{% if tools is not none and tools | length > 0 %}tools{% else %}no tools{% endif %}",
    "{% if documents %}d{% endif %}{% if tools %}t{% endif %}x",
    "{{ messages[0].content.split('x')[0] if messages else '' }}",
    "{%if true%}a{%endif%}{{1}}{{'b'}}",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {}}}",
    "{{ '}}' }}{{ \"{%\" }}",
    "{% set a = 'x' %}{% set a = a + 'y' %}{{ a }}",
    "{% for i in range(2) %}{{ i }}{% set last = i %}{% endfor %}{{ last is defined }}",
    "{%- set m = {'a': 'b'} %}{% for k, v in m.items() %}{{ '%s:%s' % (k, v) }}{% endfor %}",
    "$ # @ {x} { {y} } %} }} #}",
    "{{ text }}{{ '\n' }}\n\n",
    "line\n\n  {% for x in [1, 2] %}\n    - {{ x }}\n  {% endfor %}\n\nend\n",
    "line {# c #}\n{# d #}\n  {# e #}  \nend",
]


def templates() -> list[str]:
    """Every case's template."""
    expressions = [line for line in EXPRESSIONS.split("\n") if line]
    return ["{{ " + line + " }}" for line in expressions] + STATEMENTS
